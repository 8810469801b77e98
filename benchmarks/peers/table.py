"""The comparison as rows with their promises. Measures nothing."""

from __future__ import annotations

from benchmarks.common import Result, Row
from benchmarks.peers.peer import NEAR


def rows(result: Result) -> list[Row]:
    return [*speed_rows(result), *accuracy_rows(result)]


def speed_rows(result: Result) -> list[Row]:
    speed = result["speed"]
    own = speed["dedupd"]
    table = [
        Row(
            what=f"first scan of {speed['files']} files of {speed['mean_bytes'] / 1e6:.1f} MB, dedupd",
            value=cost(own) if own else "not run",
        )
    ]
    for key, peer in near_first(result["peers"]).items():
        measured = speed["peers"].get(key)
        if measured is None:
            table.append(Row(what=f"  {peer['name']}", value=f"not installed: {peer['absent']}"))
            continue
        promised, times = peer["promised_times"], measured["times_dedupd"]
        is_done = not measured["failure"]
        told = cost(measured) if is_done else measured["failure"]
        table.append(
            Row(
                what=f"  {peer['name']} {measured['version']}".rstrip(),
                value=f"{told}, {'' if is_done else 'over '}{times:.2f} times dedupd's time"
                + (f" ({measured['cpu_times_dedupd']:.2f} its CPU time)" if is_done else ""),
                promise=promise_of(promised),
                is_kept=kept(times, promised, is_done=is_done),
            )
        )
    return table


def near_first(peers: dict[str, Result]) -> dict[str, Result]:
    """Programs that look for equal bytes only, for scale, after the others."""
    return dict(sorted(peers.items(), key=lambda item: item[1]["finds"] != NEAR))


def promise_of(promised: float | None) -> str:
    if promised is None:
        return ""
    return "faster" if promised == 1.0 else f"{promised:g} times as fast"


def kept(times: float, promised: float | None, *, is_done: bool) -> bool | None:
    """Whether dedupd is as much faster as promised; of a run that did not end, only when it had taken that long."""
    if promised is None or not (is_done or times >= promised):
        return None
    return times > promised if promised == 1.0 else times >= promised


def accuracy_rows(result: Result) -> list[Row]:
    accuracy = result["accuracy"]
    own = accuracy["dedupd"]
    table = [Row(what=f"accuracy over {accuracy['pictures']} pictures, dedupd", value=rightness(own))]
    best = 0.0
    for key, by_setting in accuracy["peers"].items():
        peer = result["peers"][key]
        for setting, measured in by_setting.items():
            if measured["failure"]:
                table.append(Row(what=f"  {peer['name']}, {setting}", value=measured["failure"]))
                continue
            if peer["finds"] == NEAR:
                best = max(best, measured["f1"])
            table.append(Row(what=f"  {peer['name']}, {setting}", value=rightness(measured)))
    table.append(
        Row(
            what="F1 of dedupd beside the best of any peer's setting",
            value=f"{own['f1']:.1%}, {best:.1%}",
            promise="better than any",
            is_kept=own["f1"] > best,
        )
    )
    return table


def cost(measured: Result) -> str:
    return f"{measured['wall_s']:.1f} s, {measured['cpu_s']:.1f} CPU s, {measured['peak_mib']:.0f} MiB"


def rightness(measured: Result) -> str:
    return (
        f"precision {measured['precision']:.1%}, recall {measured['recall']:.1%}, F1 {measured['f1']:.1%}, "
        f"{measured['look_alikes_merged']} of {measured['look_alike_pairs']} look-alikes merged"
    )
