"""The units are understood by systemd without a word, stay as confined as they are, and say why, line by line."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
FILES = sorted(path for path in UNITS.rglob("*") if path.is_file())
DROP_INS = sorted((UNITS / "dedupd.service.d").glob("*.conf"))
# systemd-analyze's exposure level of 252: of a whole, 0 (nothing) to 10 (everything). A drop-in gives something back.
MOST_EXPOSED = {"dedupd": 1.0, "dedupd-actor": 1.5}
MOST_EXPOSED_WITH_A_DROP_IN = 2.0


@pytest.fixture
def analyze():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NOT TESTED: the units, for systemd-analyze is not installed (tests/system-packages installs it)")

    def run(*arguments):
        environ = os.environ | {"SYSTEMD_LOG_LEVEL": "info", "SYSTEMD_PAGER": "", "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            ["systemd-analyze", *map(str, arguments)], env=environ, capture_output=True, text=True, check=False
        )

    return run


def laid_out(folder, *drop_ins):
    """The units as an installation has them, but for the program: any that is there does."""
    for path in UNITS.iterdir():
        if path.suffix in (".service", ".socket"):
            text = path.read_text().replace("/usr/bin/dedupd", "/bin/true").replace("file:/usr/share", "https://x.test")
            (folder / path.name).write_text(text)
    for drop_in in drop_ins:
        (folder / "dedupd.service.d").mkdir(exist_ok=True)
        shutil.copy(drop_in, folder / "dedupd.service.d")
    return folder


def exposure(analyze, unit):
    done = analyze("security", "--offline=true", "--no-pager", unit)
    assert done.returncode == 0, done.stderr
    return float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)[1])


@pytest.mark.parametrize(
    "drop_ins", [[], *([path] for path in DROP_INS), DROP_INS], ids=lambda d: "+".join(p.stem for p in d)
)
def test_systemd_understands_every_unit_without_a_word(analyze, tmp_path, drop_ins):
    units = sorted(path for path in laid_out(tmp_path, *drop_ins).iterdir() if path.is_file())
    done = analyze("verify", "--man=no", *units)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", MOST_EXPOSED)
def test_the_units_are_confined(analyze, tmp_path, name):
    assert exposure(analyze, laid_out(tmp_path) / f"{name}.service") <= MOST_EXPOSED[name]


@pytest.mark.parametrize("drop_in", DROP_INS, ids=lambda path: path.stem)
def test_a_drop_in_gives_back_little(analyze, tmp_path, drop_in):
    assert exposure(analyze, laid_out(tmp_path, drop_in) / "dedupd.service") <= MOST_EXPOSED_WITH_A_DROP_IN


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_line_stands_below_its_reason(path):
    """A paragraph of settings begins with a comment; [Unit]'s name and order and [Install] speak for themselves."""
    section, has_reason = "", False
    for line in path.read_text().splitlines():
        match line[:1]:
            case "[":
                section, has_reason = line, False
            case "#":
                has_reason = True
            case "":
                has_reason = False
            case _:
                is_plain = section in ("[Unit]", "[Install]") and line.split("=")[0] in PLAIN
                assert has_reason or is_plain, f"{path.name}: {line}"


PLAIN = {"Description", "Documentation", "After", "Requires", "WantedBy"}


def test_the_service_asks_for_what_docs_say():
    service = (UNITS / "dedupd.service").read_text()
    for line in ("Type=notify", "WatchdogSec=120", "RestartPreventExitStatus=78", "ProtectSystem=strict"):
        assert f"\n{line}\n" in service
    assert "PrivateUsers=yes\n" not in re.sub("#.*", "", service)
