"""Each way of sharing the task comes to the same descriptors, and the figures are what was looked at."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from xml.etree import ElementTree as ET

import cv2
import pytest

from benchmarks import concurrency, leaves


@pytest.mark.parametrize("way", [("serial", 1), ("threads", 2), ("processes", 2)])
def test_every_way_describes_all_files_alike(tmp_path: Path, way: concurrency.Way) -> None:
    listed = tmp_path / "files.txt"
    for number in range(9):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), leaves.leaves(number))
    listed.write_text("".join(f"{tmp_path / f'{number}.jpg'}\n" for number in range(9)))
    _, digest, _ = concurrency.one_run(way, listed)
    _, expected, _ = concurrency.one_run(("serial", 1), listed)
    assert digest == expected


def test_figures_and_plots_come_of_one_run(tmp_path: Path) -> None:
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), leaves.leaves(number))
    result = concurrency.run(Namespace(data=tmp_path, files=4, rounds=1, most=1))
    assert [(own["way"], own["workers"]) for own in result["ways"]] == [
        ("serial", 1),
        ("threads", 1),
        ("processes", 1),
    ]
    assert result["files"] == 4
    assert len(concurrency.rows(result)) == 3


def test_cpu_time_is_the_area_under_the_use() -> None:
    assert concurrency.cpu_s_in([(0.1, 1.0), (0.3, 2.0)]) == 0.5
    assert concurrency.mean_use([(0.1, 1.0), (0.2, 2.0)]) == 1.5


def test_use_over_time_is_drawn() -> None:
    ways = [
        {"way": way, "workers": workers, "speed_up": 1.0, "use": [[0.1, 0.9], [0.2, 1.0]]}
        for way, workers in (("serial", 1), ("threads", 1), ("threads", 2), ("processes", 1), ("processes", 2))
    ]
    drawn = concurrency.plots({"ways": ways, "cores": 2, "files": 3})
    assert set(drawn) == {"concurrency-speed-up", "concurrency-use"}
    for svg in drawn.values():
        assert ET.fromstring(svg).tag.endswith("svg")
    assert drawn["concurrency-use"].count("<polyline") == 3


def test_workers_double_up_to_the_most() -> None:
    assert concurrency.counts(6) == [1, 2, 4, 6]
    assert concurrency.counts(1) == [1]
