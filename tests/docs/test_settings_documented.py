"""Every setting is documented with its default, and the sample configuration says what dedupd does without one."""

import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from dedupd.settings.load import parse_settings
from dedupd.settings.schema import Policy, Settings

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs/configuration.md").read_text(encoding="utf-8")
SAMPLE = (PROJECT / "contrib/dedupd.toml").read_text(encoding="utf-8")
UNCOMMENTED = re.sub(r"^#(?=[a-z_]+ = )", "", SAMPLE, flags=re.MULTILINE)


def settings():
    """(section, key, default) of every setting; "" is the top of the file."""
    for field in msgspec.structs.fields(Settings):
        default = getattr(Settings(), field.name)
        if isinstance(default, msgspec.Struct):
            for inner in msgspec.structs.fields(type(default)):
                yield field.name, inner.name, getattr(default, inner.name)
        else:
            yield "", field.name, default


def policy_settings():
    """(section, key, default) of what a clean-up policy may say; its name has no default."""
    for field in msgspec.structs.fields(Policy):
        if field.name != "name":
            yield "[cleanup.policies]", field.name, getattr(Policy(name="x"), field.name)


def toml_text(value):
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case list() | tuple() | dict():
            return json.dumps(value)
        case _:
            return str(value)


def part_of(section):
    """The page's part about a section of the file."""
    title = f"## `[{section}]`" if section else "## At the top of the file"
    _, found, after = PAGE.partition(title)
    assert found, f"docs/configuration.md has no heading {title!r}"
    return after.partition("\n## ")[0]


@pytest.mark.parametrize(("section", "key", "default"), [*settings(), *policy_settings()])
def test_a_setting_is_documented_with_its_default(section, key, default):
    [row] = re.findall(rf"^\| `{key}` \|.*$", part_of(section), re.MULTILINE)
    assert row.split("|")[2].strip() == f"`{toml_text(default)}`"


def test_nothing_is_documented_that_is_no_setting():
    documented = re.findall(r"^\| `(\w+)` \| `", PAGE, re.MULTILINE)
    assert sorted(documented) == sorted(key for _, key, _ in [*settings(), *policy_settings()])


def test_the_examples_are_valid():
    examples = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        parse_settings(example, "example")


def test_the_sample_as_it_is_changes_nothing():
    assert parse_settings(SAMPLE, "sample") == Settings()


def test_the_sample_lists_every_setting_with_its_default():
    tree = tomllib.loads(UNCOMMENTED)
    listed = {(section, key) for section, inner in tree.items() if isinstance(inner, dict) for key in inner}
    listed |= {("", key) for key, value in tree.items() if not isinstance(value, dict)}
    assert listed == {(section, key) for section, key, _ in settings()}
    assert parse_settings(UNCOMMENTED, "sample") == Settings()
