"""The comparison as the documentation shows it. Measures nothing, writes no file."""

from __future__ import annotations

from benchmarks.accuracy_docs import table
from benchmarks.common import Result
from benchmarks.peers.peer import NEAR
from benchmarks.peers.table import kept, near_first, promise_of

OWN = "dedupd"


def short_section(result: Result, machine: str) -> list[str]:
    """A line a program that finds near-duplicates, at the setting that its makers recommend."""
    speed, accuracy = result["speed"], result["accuracy"]
    files = speed["files"]
    own = [(f"**{OWN}**", "1×", *figures(speed[OWN], files), *rightness(accuracy[OWN]))]
    others = [
        (
            f"{peer['name']} ({setting})",
            f"{measured['times_dedupd']:.1f}×",
            *figures(measured, files),
            *rightness(accuracy["peers"][key][setting]),
        )
        for key, peer in result["peers"].items()
        if peer["finds"] == NEAR and (measured := speed["peers"].get(key)) and not measured["failure"]
        for setting in (peer["settings"][0],)
        if not accuracy["peers"][key][setting]["failure"]
    ]
    others.sort(key=lambda line: float(line[1].rstrip("×")))
    return [
        (
            f"A first scan of {speed['files']} camera pictures of {speed['mean_bytes'] / 1e6:.1f} MB, each program "
            f"with {result['workers']} workers, in turn; precision and recall over the pairs of {accuracy['pictures']} "
            f"labelled pictures. {machine}"
        ),
        "",
        *table(("program", "time", "CPU ms a picture", "MiB", "precision", "recall", "look-alikes"), own + others),
    ]


def figures(measured: Result, files: int) -> tuple[str, str]:
    return (f"{1000 * measured['cpu_s'] / files:.0f}", f"{measured['peak_mib']:.0f}")


def rightness(measured: Result) -> tuple[str, str, str]:
    return (
        f"{measured['precision']:.1%}",
        f"{measured['recall']:.1%}",
        f"{measured['look_alikes_merged']} of {measured['look_alike_pairs']}",
    )


def long_section(result: Result) -> list[str]:
    """Speed with its promises, accuracy by setting, and how each program was installed and called."""
    speed, accuracy, peers = result["speed"], result["accuracy"], near_first(result["peers"])
    return [
        (
            f"First scan of {speed['files']} pictures (`{speed['data']}`, {speed['mean_bytes'] / 1e6:.1f} MB each), "
            f"{result['workers']} workers, {result['rounds']} {'round' if result['rounds'] == 1 else 'rounds'}:"
        ),
        "",
        *table(
            ("program", "wall", "times dedupd's", "CPU", "times dedupd's", "peak memory", "promise"),
            [
                (f"dedupd {result['dedupd']}", *cost(speed[OWN]), ""),
                *(speed_line(peer, speed["peers"].get(key)) for key, peer in peers.items()),
            ],
        ),
        "",
        (
            f"Accuracy over the pairs of {accuracy['pictures']} pictures (`{accuracy['data']}`); the first setting is "
            "the one that its makers recommend:"
        ),
        "",
        *table(
            ("program", "setting", "precision", "recall", "F1", "look-alikes merged", "groups"),
            [
                ("dedupd", "", *accurate(accuracy[OWN])),
                *(
                    (peers[key]["name"], setting, *accurate(measured))
                    for key in peers
                    for setting, measured in accuracy["peers"].get(key, {}).items()
                ),
            ],
        ),
        "",
        *table(
            ("program", "what it does", "installed by", "called"),
            [
                (p["name"], p["about"].partition(":")[2].strip(), f"`{p['installed_by']}`", f"`{p['call']}`")
                for p in peers.values()
            ],
        ),
    ]


def cost(measured: Result) -> tuple[str, str, str, str, str]:
    return (
        f"{measured['wall_s']:.1f} s",
        f"{measured.get('times_dedupd', 1):.2f}",
        f"{measured['cpu_s']:.1f} s",
        f"{measured.get('cpu_times_dedupd', 1):.2f}",
        f"{measured['peak_mib']:.0f} MiB",
    )


def speed_line(peer: Result, measured: Result | None) -> tuple[str, ...]:
    promised = peer["promised_times"]
    if measured is None:
        return (peer["name"], f"not installed: {peer['absent']}", "", "", "", "", "")
    name = f"{peer['name']} {measured['version']}".rstrip()
    is_done = not measured["failure"]
    verdict = {None: "", True: " (kept)", False: " (**not kept**)"}[
        kept(measured["times_dedupd"], promised, is_done=is_done)
    ]
    promise = promise_of(promised) + verdict
    return (name, *(cost(measured) if is_done else (measured["failure"], "", "", "", "")), promise)


def accurate(measured: Result) -> tuple[str, ...]:
    if measured["failure"]:
        return (measured["failure"], "", "", "", "")
    precision, recall, merged = rightness(measured)
    return (precision, recall, f"{measured['f1']:.1%}", merged, str(measured["groups"]))
