"""`similar` by command and by HTTP: who answered, what is marked, and what is refused."""

import msgspec
import pytest

from dedupd.core.records import ContentId, Relation
from dedupd.protocol.pictures import SimilarMessage


def similar(dedupctl, *arguments):
    said = dedupctl("similar", *arguments, "--json")
    assert said.code == 0, said.err
    return msgspec.json.decode(said.out, type=SimilarMessage)


@pytest.fixture
def mine(album):
    file = album.base / "mine.jpg"
    file.write_bytes(b"PIC mine")
    return file


def test_a_picture_of_the_library_is_asked_about_by_its_number(album, dedupctl):
    answer = similar(dedupctl, "content:1", "--limit", "2")
    assert (answer.name, answer.model, answer.content) == ("builtin", "test-1", 1)
    assert [near.picture.content for near in answer.near] == [2, 3]
    assert [near.similarity for near in answer.near] == [1.0, 0.99]
    assert answer == album.client.similar(1, limit=2)


def test_a_picture_from_elsewhere_is_sent_and_one_that_is_known_is_told_as_what_it_is(album, mine, dedupctl):
    assert similar(dedupctl, mine).content == 0
    mine.write_bytes(b"PIC one small")
    answer = similar(dedupctl, mine)
    assert answer.content == 2
    assert 2 not in {near.picture.content for near in answer.near}


def test_duplicates_are_marked_and_what_is_only_near_is_not(album, dedupctl):
    from fakes.matcher import half_the_size

    with album.library.transaction() as txn:
        txn.put_edge(half_the_size(ContentId(1), ContentId(2)))
    answer = similar(dedupctl, "content:1")
    marks = {near.picture.content: (near.relation, near.group) for near in answer.near}
    assert marks[2] == (Relation.RE_ENCODED, 1)
    assert marks[3] == (None, 3)
    assert marks[5] == (None, None)
    lines = dedupctl("similar", "content:1").out.splitlines()
    assert lines[0].endswith("near content:1, in looks, as no vision model is ready, by builtin")
    assert lines[1] == "1.000  a duplicate: re-encoded, group 1"
    assert "a duplicate" not in "".join(lines[2:])


def test_a_model_is_named_and_says_that_it_answered(album, dedupctl):
    album.similar.models = {"some/model": "some-1", "builtin": "test-1"}
    album.similar.begun = {"other/model"}
    assert similar(dedupctl, "content:1").name == "some/model"
    assert similar(dedupctl, "content:1", "--model", "builtin").name == "builtin"
    assert "in meaning, by some/model" in dedupctl("similar", "content:1").out
    said = dedupctl("similar", "content:1", "--model", "nobody/model")
    assert (said.code, "No model nobody/model" in said.err) == (66, True)
    said = dedupctl("similar", "content:1", "--model", "other/model")
    assert (said.code, "has not looked" in said.err) == (70, True)


def test_what_cannot_be_asked_about_is_refused_by_name(album, dedupctl):
    text = album.base / "diary.txt"
    text.write_bytes(b"no picture")
    for arguments, code, words in [
        (["content:99"], 66, "no content 99"),
        (["content:999999999999999"], 66, "no content 999999999999999"),
        ([album.base / "nowhere.jpg"], 66, "nowhere.jpg: there is no such file"),
        ([text], 65, "diary.txt"),
        ([album.base], 74, "is no regular file"),
        (["content:1", "--limit", "0"], 64, "at least 1"),
    ]:
        said = dedupctl("similar", *arguments)
        assert (said.code, words in said.err) == (code, True), said.err


def test_a_hostile_name_does_not_reach_the_terminal(album, dedupctl):
    out = dedupctl("similar", "content:1").out
    assert "\x1b" not in out
    assert "fake\\nline.jpg" in out
