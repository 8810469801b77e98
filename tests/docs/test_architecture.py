"""ARCHITECTURE.md names every package and every module, and nothing that does not exist."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PACKAGES = sorted(path.parent.name for path in (PROJECT / "dedupd").glob("*/__init__.py"))


def part_of(package):
    """The page's part about a package."""
    [part] = re.findall(rf"^## {package}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return part


def named_files(text):
    return re.findall(r"`([\w./-]+\.(?:py|css|js|npz|md|toml|svg))`", text)


def test_the_packages_are_the_headings_after_the_overview():
    headings = re.findall(r"^## (\w+)$", PAGE.partition("# The packages")[2], re.MULTILINE)
    assert sorted(headings) == PACKAGES


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_of_a_package_is_named_and_every_named_one_exists(package):
    here = PROJECT / "dedupd" / package
    modules = {path.name for path in here.glob("*.py")} - {"__init__.py"}
    named = set(named_files(part_of(package)))
    assert modules <= named, f"not named: {sorted(modules - named)}"
    assert [name for name in sorted(named) if not (here / name).is_file()] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_it_owns_and_what_it_never_does(package):
    assert "**Owns**" in part_of(package)
    assert "**Never**" in part_of(package)


def test_every_file_named_in_the_overview_exists():
    overview = PAGE.partition("# The packages")[0]
    places = (PROJECT, PROJECT / "dedupd")
    assert [n for n in named_files(overview) if not any((place / n).is_file() for place in places)] == []


@pytest.mark.parametrize(
    "page", sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]), ids=lambda p: p.name
)
def test_every_link_to_a_file_of_the_project_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (page.parent / target).exists()] == []
