import os

import pytest

from dedupd.core.errors import ConfigError
from dedupd.settings.load import find_config, load_settings, parse_settings, resolve_roots
from dedupd.settings.schema import Settings


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
        ("roots = 1 2", ["not valid TOML", "line 1"]),
    ],
)
def test_what_is_wrong_is_named_with_its_path(text, words):
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, "x.toml")
    for word in words:
        assert word in str(caught.value)
    assert caught.value.exit_code == 78


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
