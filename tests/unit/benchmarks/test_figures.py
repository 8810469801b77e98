"""Measured figures reach the pages between their markers, and what is drawn is well-formed and told in full."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import growth, peers
from benchmarks.__main__ import NAMES
from benchmarks.drawings import drawings_of
from benchmarks.figures import PAGE, README, begin_of, write_figures
from benchmarks.peers.compare import components
from benchmarks.peers.table import kept
from benchmarks.plots import Axis, even_ticks, log_ticks

MADE_ON = {
    "commit": "abc1234",
    "at": "2026-01-02T03:04:05Z",
    "cores": 2,
    "cpu": "A processor",
    "memory_mib": 2048,
    "load_average_before": [0.1, 0.2, 0.3],
}
GROWTH = {
    "pictures_px": [160, 120],
    "points": [
        {
            "files": files,
            "cpu_s": 0.02 * files,
            "wall_s": 0.01 * files,
            "cpu_s_beyond_start": 0.02 * files - 1,
            "compared": files,
            "copies_planted": files // 100,
            "copies_found": files // 100,
        }
        for files in (1000, 3000)
    ],
    "exponents": {"cpu_s": 1.0, "cpu_s_beyond_start": 1.2, "wall_s": 1.0, "parent_cpu_s": 1.0, "compared": 1.0},
}
COST = {"version": "1.2", "failure": "", "wall_s": 4.0, "cpu_s": 6.0, "peak_mib": 90.0, "groups": 3}
RIGHT = {"failure": "", "precision": 0.9, "f1": 0.6, "look_alikes_merged": 1, "look_alike_pairs": 5, "groups": 3}


def peer(name: str, times: float | None, *, absent: str = "", finds: str = "near-duplicates") -> dict[str, object]:
    return {
        "name": name,
        "about": "a hash: so and so",
        "finds": finds,
        "installed_by": f"pip install {name}==1.2",
        "call": "find()",
        "settings": ["strict", "loose"],
        "promised_times": times,
        "absent": absent,
    }


PEERS = {
    "dedupd": "0.1.0",
    "workers": 2,
    "rounds": 1,
    "peers": {
        "slow": peer("slow", 2.0),
        "quick": peer("quick", 1.0),
        "late": peer("late", 2.0),
        "gone": peer("gone", 2.0, absent="needs the package gone"),
    },
    "speed": {
        "data": "camera",
        "files": 10,
        "mean_bytes": 2_000_000,
        "dedupd": COST,
        "peers": {
            "slow": {**COST, "times_dedupd": 2.5, "cpu_times_dedupd": 2.0},
            "quick": {**COST, "times_dedupd": 0.8, "cpu_times_dedupd": 0.7},
            "late": {**COST, "failure": "not done after 9 s", "times_dedupd": 3.0, "cpu_times_dedupd": 1.0},
        },
    },
    "accuracy": {
        "data": "labelled",
        "pictures": 9,
        "dedupd": {**RIGHT, "recall": 0.95, "f1": 0.94},
        "peers": {
            key: {"strict": {**RIGHT, "recall": 0.3}, "loose": {**RIGHT, "recall": 0.5}} for key in ("slow", "quick")
        },
    },
}


def pages(folder: Path) -> tuple[Path, Path]:
    both = folder / "docs" / "benchmarks.md", folder / "README.md"
    both[0].parent.mkdir()
    for page in both:
        page.write_text(f"before\n{begin_of('peers')}\nold\n<!-- peers: figures end -->\nafter\n")
    with both[0].open("a") as page:
        page.write(f"{begin_of('growth')}\n<!-- growth: figures end -->\n")
    return both


def test_sections_are_replaced_and_what_surrounds_them_stays(tmp_path: Path) -> None:
    page, readme = pages(tmp_path)
    for _ in range(2):
        assert write_figures(MADE_ON, {"growth": GROWTH, "peers": PEERS, "startup": {}}, page, readme) == [
            "growth",
            "peers",
        ]
    for told in (page.read_text(), readme.read_text()):
        assert told.startswith("before\n")
        assert "\nafter\n" in told
        assert "old" not in told
        assert told.count("abc1234") == told.count("figures begin")
    for line in page.read_text().splitlines():
        if line.startswith("!["):
            ET.parse(page.parent / line.rpartition("(")[2].rstrip(")"))
    assert "docs/benchmark-peers-speed.svg" in readme.read_text()


def test_a_broken_promise_and_an_absent_peer_are_told(tmp_path: Path) -> None:
    page, readme = pages(tmp_path)
    write_figures(MADE_ON, {"growth": GROWTH, "peers": PEERS}, page, readme)
    told = page.read_text()
    assert "| quick 1.2 | 4.0 s | 0.80 | 6.0 s | 0.70 | 90 MiB | faster (**not kept**) |" in told
    assert "2 times as fast (kept)" in told
    assert "not installed: needs the package gone" in told
    assert "not done after 9 s" in told
    assert "≤ 1.05 (**not kept**)" in told


@pytest.mark.parametrize(
    ("times", "promised", "is_done", "expected"),
    [
        (2.0, 2.0, True, True),
        (1.9, 2.0, True, False),
        (1.0, 1.0, True, False),  # as fast is not faster
        (3.0, 2.0, False, True),  # ended at the limit, by when it had taken that long
        (1.5, 2.0, False, None),  # nobody knows
        (0.1, None, True, None),
    ],
)
def test_a_promise_of_speed(times: float, promised: float | None, is_done: bool, expected: bool | None) -> None:
    assert kept(times, promised, is_done=is_done) is expected


def test_dedupd_must_be_better_than_the_best_setting_of_any_peer() -> None:
    last = peers.rows(PEERS)[-1]
    assert last.is_kept
    assert last.value == "94.0%, 60.0%"


def test_groups_that_share_a_file_are_one() -> None:
    joined = components([[b"a", b"b"], [b"c", b"d"], [b"b", b"c"], [b"e", b"f"]])
    assert sorted(map(sorted, joined)) == [[b"a", b"b", b"c", b"d"], [b"e", b"f"]]


def test_the_pages_have_their_markers() -> None:
    for name in ("peers", "growth", "concurrency"):
        assert begin_of(name) in PAGE.read_text()
    assert begin_of("peers") in README.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_is_explained(name: str) -> None:
    assert f"| `{name}` |" in PAGE.read_text()


def test_growth_is_drawn_from_what_its_json_holds() -> None:
    drawn = drawings_of("growth", json.loads(json.dumps(GROWTH)))
    assert [row.is_kept for row in growth.rows(GROWTH)][2:5] == [True, False, True]
    assert ET.fromstring(drawn["growth"]).tag.endswith("svg")


def test_ticks_are_round_and_span_the_values() -> None:
    assert list(even_ticks(2.2)) == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert list(log_ticks(500, 3000)) == [100.0, 1000.0, 10_000.0]
    axis = Axis(label="", ticks=log_ticks(1, 100), is_log=True)
    assert axis.share(10) == pytest.approx(0.5)
    assert Axis(label="", ticks={1000: "1,000"}, is_log=True).share(1000) == 0.5
