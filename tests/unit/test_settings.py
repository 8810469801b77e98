import os
from pathlib import Path

import pytest

from dedupd.core.cleanup_plan import Action
from dedupd.core.cleanup_policy import Companions, narrowed, policy_named
from dedupd.core.cleanup_ports import PlanWish
from dedupd.core.errors import ConfigError, NotFoundError, RequestError
from dedupd.core.keep_policy import PRESETS
from dedupd.core.records import Relation
from dedupd.settings.cleanup_policies import cleanup_policies
from dedupd.settings.further_models import further_models, models_directory
from dedupd.settings.load import find_config, load_settings, parse_settings, resolve_roots
from dedupd.settings.schema import Models, Settings


def test_no_file_gives_the_defaults():
    assert load_settings(None) == Settings()


def test_a_whole_file_is_read(tmp_path):
    path = tmp_path / "dedupd.toml"
    path.write_text('roots = ["/srv/a"]\n[watch]\nsettle_after_close_s = 1\n[alerts]\nhook = ["/bin/tell", "me"]\n')
    settings = load_settings(path)
    assert settings.roots == ["/srv/a"]
    assert settings.watch.settle_after_close_s == 1.0
    assert settings.watch.settle_after_write_s == 10.0
    assert settings.alerts.hook == ["/bin/tell", "me"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rots = []", ["x.toml", "unknown key `rots`", "Did you mean `roots`?"]),
        ("[watch]\nsetle_after_close_s = 1", ["`watch.setle_after_close_s`", "Did you mean `settle_after_close_s`?"]),
        ("[alerts]\nzzz = 1", ["`alerts.zzz`", "Known keys: hook,"]),
        ("[decode]\nworkers = 'two'", ["`decode.workers`", "expected `int`, got `str`"]),
        ("[decode]\nworkers = -1", ["`decode.workers`", ">= 0"]),
        ("roots = 'x'", ["`roots`", "expected `array`"]),
        ("model = ''", ["x.toml", "`model` is empty", "builtin"]),
        ("[models]\nuse = ['']", ["`models.use`", "empty name"]),
        ("[models]\ngpus = 'two'", ["`models.gpus`", '"two"', '"all"']),
        ("[models]\ngpus = -1", ["`models.gpus`", "below 0"]),
        ("[models]\ngpus = [0, -2]", ["`models.gpus`", "below 0"]),
        ("[models]\ngpus = 0.5", ["`models.gpus`", "got `float`"]),
        ("[models]\ndtype = 'int8'", ["`models.dtype`", "int8"]),
        ("[models]\ngpu_memory_fraction = 0", ["`models.gpu_memory_fraction`", "> 0"]),
        ("[models]\nuse = ['a/b']\nthresholds = {'a/b' = 1.5}", ["`models.thresholds[...]`", "<= 1"]),
        ("[models]\nuse = ['a/b']\nthresholds = {'a/c' = 0.5}", ["`models.thresholds` names a/c", "`models.use`"]),
        ("[models]\nmodel = 'a/b'", ["`models.model`"]),
        ("roots = 1 2", ["not valid TOML", "line 1"]),
    ],
)
def test_what_is_wrong_is_named_with_its_path(text, words):
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, "x.toml")
    for word in words:
        assert word in str(caught.value)
    assert caught.value.exit_code == 78


@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("", ()),
        ("model = 'builtin'", ()),
        ("model = 'a/b'", ("a/b",)),
        ("[models]\nuse = ['builtin', 'a/b', '/srv/model', 'a/b']", ("a/b", "/srv/model")),
        ("model = 'c'\n[models]\nuse = ['a', 'c']\nthresholds = {c = 0.5}", ("c", "a")),
    ],
)
def test_models_are_used_beside_the_built_in_one_each_once(text, models):
    assert further_models(parse_settings(text, "x.toml")) == models


def test_models_are_kept_in_the_state_directory_unless_the_settings_say_where(tmp_path):
    assert models_directory(Settings(), tmp_path) == tmp_path / "models"
    assert models_directory(Settings(models=Models(models_dir="~/m")), tmp_path) == Path.home() / "m"


POLICY = '[[cleanup.policies]]\nname = "mine"\n'


def test_a_policy_is_read_with_the_limits_of_all():
    text = (
        '[cleanup]\ngb_per_run = 1.5\nmin_age_h = 2\nprotected = ["keep"]\n'
        + POLICY
        + (
            'relations = ["same-bytes"]\naction = "hardlink"\nkeep = ["folders", "largest"]\nfolders = ["/a/*"]\n'
            'companions = "carry"\nauto = true\n'
        )
    )
    policies = cleanup_policies(parse_settings(text, "x.toml").cleanup)
    assert set(policies) == {*PRESETS, "mine"}
    mine = policies["mine"]
    assert mine.keep.criteria == ("folders", "largest", "path")
    assert mine.action is Action.HARDLINK
    assert mine.relations == {Relation.SAME_BYTES}
    assert mine.companions is Companions.CARRY
    assert mine.is_automatic
    for policy in policies.values():
        assert policy.limits.bytes_per_run == 1_500_000_000
        assert policy.limits.min_age_s == 7200
        assert b"/srv/keep/a.jpg" in policy.protected
    assert not policies["best"].is_automatic


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ('keep = ["resolutoin"]', "keep", "unknown keep criterion `resolutoin`. Did you mean `resolution`?"),
        ('keep = "larges"', "keep", "unknown keep policy `larges`. Did you mean `largest`?"),
        ('relations = ["same-byte"]', "relations", "unknown relation `same-byte`. Did you mean `same-bytes`?"),
        ('relations = ["similar"]', "relations", "pictures that are only `similar` are never cleaned up"),
        ('relations = ["different"]', "relations", "never cleaned up"),
        ("relations = []", "relations", "names no relation"),
        ('action = "delete"', "action", "unknown action `delete`. There are: quarantine, hardlink"),
        ('action = "hardlink"', "action", "only `same-bytes` can be done that way"),
        ('action = "reflink"\nrelations = ["same-bytes", "same-pixels"]', "action", "only `same-bytes`"),
        ('action = "move"', "folder", "needs an absolute path"),
        ('action = "sort"\nfolder = "duplicates"', "folder", "needs an absolute path"),
        ('folder = "/x"', "folder", "moves nothing to a folder"),
        ("auto = true", "auto", "only same-bytes, same-pixels may be cleaned up without anybody looking"),
        ('auto = true\nrelations = ["same-bytes", "edited"]', "auto", "acts on edited as well"),
        ('formats = ["JPG"]\nkeep = ["format"]', "formats", "unknown format `JPG`. Did you mean `JPEG`?"),
        ('formats = ["JPEG"]', "formats", "`format` is not among `keep`"),
        ('folders = ["x"]\nkeep = ["name"]', "folders", "`folders` is not among `keep`"),
        ('folders = ["/"]', "folders", "names nothing"),
        ('companions = "drop"', "companions", "There are: block, carry"),
        ('roots = ["photos"]', "roots", "`photos` is no absolute path"),
    ],
)
def test_a_policy_that_is_wrong_is_told_with_its_key(text, key, words):
    with pytest.raises(ConfigError) as caught:
        parse_settings(POLICY.replace("mine", "first") + POLICY + text, "x.toml")
    assert f"x.toml: `cleanup.policies[1].{key}`: " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (POLICY + POLICY, "`cleanup.policies[1].name`: `mine` is the name of another policy"),
        (POLICY.replace("mine", "oldest"), "`cleanup.policies[0].name`: `oldest` is a preset"),
        ("[[cleanup.policies]]\n", "missing required field `name`"),
        (POLICY + "kep = 'best'", "Did you mean `keep`?"),
        ('[cleanup]\nprotected = ["/"]', "`cleanup.protected`: the folder '/' names nothing"),
        ("[cleanup]\nquarantine_days = 0", "`cleanup.quarantine_days`"),
        ("[cleanup]\nroot_share = 5", "`cleanup.root_share`"),
    ],
)
def test_a_wrong_clean_up_setting_is_told(text, words):
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, "x.toml")
    assert words in str(caught.value)


def test_a_wish_narrows_a_policy_but_cannot_make_it_unsafe():
    policies = cleanup_policies(parse_settings("", "x.toml").cleanup)
    best = policy_named(policies, "")
    assert best is policies["best"]
    assert narrowed(best, PlanWish()) == best
    linked = narrowed(best, PlanWish(action=Action.HARDLINK, min_age_s=0.0))
    assert linked.relations == {Relation.SAME_BYTES}
    assert linked.limits.min_age_s == 0.0
    for wish, words in [
        (PlanWish(relations=frozenset({Relation.SIMILAR})), "never cleaned up"),
        (PlanWish(action=Action.REFLINK, relations=frozenset({Relation.EDITED})), "only `same-bytes`"),
        (PlanWish(action=Action.MOVE), "needs an absolute path"),
        (PlanWish(folder=b"/x"), "moves nothing"),
    ]:
        with pytest.raises(RequestError, match=words):
            narrowed(best, wish)
    with pytest.raises(NotFoundError, match=r"unknown policy `bset`\. Did you mean `best`"):
        policy_named(policies, "bset")


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml: No such file"):
        load_settings(tmp_path / "nowhere.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"bad\.toml"):
        load_settings(tmp_path / "bad.toml")


def test_roots_must_exist_be_folders_and_not_nest(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "f").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "ab").mkdir()
    assert resolve_roots([str(tmp_path / "a"), str(tmp_path / "link"), str(tmp_path / "ab")]) == [
        tmp_path / "a",
        tmp_path / "ab",
    ], "a symlink to the same folder is the same root; a name that only begins alike is no nesting"
    for wrong, word in [(["missing"], "No such file"), (["f"], "not a folder"), (["a", "a/b"], "lies within")]:
        with pytest.raises(ConfigError, match=word):
            resolve_roots([str(tmp_path / w) for w in wrong])


def test_the_users_configuration_is_found_before_the_systems(tmp_path, monkeypatch):
    monkeypatch.delenv("DEDUPD_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "dedupd").mkdir()
    (tmp_path / "dedupd" / "dedupd.toml").write_text("")
    assert find_config() == tmp_path / "dedupd" / "dedupd.toml"
    monkeypatch.setenv("DEDUPD_CONFIG", os.fspath(tmp_path / "named.toml"))
    assert find_config() == tmp_path / "named.toml"
