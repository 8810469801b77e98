"""docs/keepers.md names every criterion with what it keeps, every preset with its criteria, and nothing else."""

import re
import tomllib
from pathlib import Path

from dedupd.core.keep_criteria import CRITERIA
from dedupd.core.keep_policy import PRESETS
from dedupd.core.keeper import FORMAT_ORDER
from dedupd.settings.load import parse_settings

PAGE = (Path(__file__).parents[2] / "docs/keepers.md").read_text(encoding="utf-8")
PART = PAGE.partition("## Keep policies")[2].partition("\n## ")[0]
CRITERIA_ROWS, PRESET_ROWS = PART.split("| preset |")
ROW = re.compile(r"^\| `([\w-]+)` \| (.*) \|$", re.MULTILINE)


def test_every_criterion_is_documented_in_its_order_with_what_it_keeps():
    rows = dict(ROW.findall(CRITERIA_ROWS))
    assert list(rows) == list(CRITERIA)
    for name, criterion in CRITERIA.items():
        assert rows[name].startswith(criterion.keeps)


def test_every_preset_is_documented_with_its_criteria():
    rows = {name: tuple(re.findall(r"`([\w-]+)`", text)) for name, text in ROW.findall(PRESET_ROWS)}
    assert rows == PRESETS


def test_the_usual_order_of_formats_is_documented():
    assert ", ".join(f"`{name}`" for name in FORMAT_ORDER) in PART


def test_the_example_is_a_policy():
    [example] = re.findall(r"^```toml\n(.*?)^```", PART, re.MULTILINE | re.DOTALL)
    assert tomllib.loads(example)
    parse_settings(example, "example")
