"""Whatever is interrupted, fails or is changed while models work: in the end all was looked at, once, and told once."""

import tempfile
from itertools import combinations
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dedupd.core.errors import DegradedError
from dedupd.core.events import DuplicateFound
from dedupd.core.records import ContentId, ModelTag
from dedupd.pipeline.housekeep import sweep_orphans
from dedupd.store.check import check

NAMES = tuple(f"{letter}.jpg" for letter in "abcdefgh")
SCENES = tuple(f"{scene}@{turn}" for scene in ("beach-day", "beach-night", "wood") for turn in (0, 3, 6))
MODELS = ("further-1", "further-2")

steps = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(NAMES), st.sampled_from(SCENES), st.sampled_from("12")),
    st.tuples(st.just("delete and sweep"), st.sampled_from(NAMES)),
    st.tuples(st.just("read and link")),
    st.tuples(st.just("nudge"), st.integers(1, 4)),
    st.tuples(st.just("drop")),
    st.tuples(st.just("look at suggested")),
    st.tuples(st.just("hold"), st.booleans()),
    st.tuples(st.just("fail"), st.booleans()),
    st.tuples(st.just("lose a preview"), st.integers(1, 8)),
    st.tuples(st.just("change models"), st.lists(st.sampled_from(MODELS), unique=True)),
    st.tuples(st.just("restart")),
)


class History:
    """A bench whose models can be held, fail, and be changed."""

    def __init__(self, bench, make_model):
        self.bench = bench
        self.models = {tag: make_model(tag) for tag in MODELS}
        bench.write("anchor.jpg", "anchor")  # a root that is emptied would not be believed
        bench.settle_all()
        self.use(MODELS[:1])

    def use(self, tags):
        self.bench.further = [(f"name of {tag}", self.models[tag]) for tag in tags]
        self.release()
        self.bench.reopen()

    def release(self):
        for model in self.models.values():
            model.error = None
            model.release()

    def do(self, step):
        bench = self.bench
        match step:
            case ("write", name, scene, variant):
                bench.write(name, scene, variant)
            case ("delete and sweep", name):
                (bench.photos / name).unlink(missing_ok=True)
                bench.settle_all()
                self.sweep()
            case ("read and link",):
                bench.settle_all()
            case ("nudge", count):
                bench.generations._drop_removed()
                bench.nudge(count)
            case ("drop",):
                bench.generations._drop()
            case ("look at suggested",):
                bench.link.suggested()
                bench.link._step()
            case ("hold", is_held):
                self.release()
                for model in self.models.values():
                    model.is_held = is_held
            case ("fail", is_failing):
                for model in self.models.values():
                    model.error = DegradedError("no device runs it") if is_failing else None
            case ("lose a preview", content):
                bench.previews.remove(ContentId(content))
            case ("change models", tags):
                self.use(tags)
            case ("restart",):
                self.release()
                bench.reopen()

    def sweep(self):
        """Forget what is gone from the disk, as after a week."""
        with self.bench.library.transaction() as txn:
            for file in list(txn.missing_files()):
                txn.remove_file(file.path)
        sweep_orphans(self.bench.library, self.bench.previews, self.forget)

    def forget(self, contents):
        self.bench.link.forget(contents)
        self.bench.generations.forget(contents)

    def settle(self):
        self.release()
        self.bench.clock.advance(31)  # whoever rests after a failure goes on
        self.bench.settle_all()
        self.sweep()
        self.bench.generations._drop_removed()
        self.bench.clock.advance(3601)  # what could not be read is tried again
        self.bench.grow().look_at_suggested()


def assert_all_was_looked_at(bench):
    configured = {embedder.model.tag for _, embedder in bench.further}
    with bench.library.view() as view:
        contents = {content.id: content for content in view.contents()}
        generations = {g.tag: g for g in view.generations()}
        if contents:
            assert set(generations) == configured
        for tag in configured:
            held = {content for content, _ in view.all_generation_vectors(ModelTag(tag), ContentId(0))}
            assert held == set(contents), tag
            assert generations[tag].contents == len(contents)
            [shelf] = [shelf for shelf in bench.book.shelves() if shelf.tag == tag]
            assert {content for content in contents if content in shelf.index} == set(contents)
            assert len(shelf.index) == len(contents)
        scenes = {
            content: (bench.photos / file.path.name.decode()).read_bytes().split(b"|")[1].split(b"@")[0]
            for content in contents
            for file in view.some_files_of(content, 1)
        }
        if configured:
            alike = {(a, b) for a, b in combinations(sorted(scenes), 2) if scenes[a] == scenes[b]}
            assert {(e.a, e.b) for e in view.edges() if {e.a, e.b} <= set(scenes)} == alike
    told = [(f.path, f.content, match.path, match.content) for f in bench.events(DuplicateFound) for match in f.matches]
    assert len(told) == len(set(told)), "no pair is told twice of one file"


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(history=st.lists(steps, min_size=8, max_size=30))
def test_in_the_end_every_model_has_seen_everything_and_each_pair_is_known(make_bench_at, make_model, history):
    with tempfile.TemporaryDirectory() as folder:
        bench = make_bench_at(Path(folder))
        try:
            told = History(bench, make_model)
            for step in history:
                told.do(step)
            told.settle()
            assert_all_was_looked_at(bench)
        finally:
            bench.close()
        assert check(Path(folder) / "state").is_clean
