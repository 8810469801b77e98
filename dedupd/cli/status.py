"""`dedupctl status`: how things stand."""

from __future__ import annotations

import argparse

from dedupd.cli.asking import client_of
from dedupd.cli.printing import Output, duration_text, escaped, local_time
from dedupd.core.wording import count_text
from dedupd.protocol.status import DeviceMessage, GenerationMessage, RootMessage, StatusMessage


def run(args: argparse.Namespace, output: Output) -> int:
    """Ask and print."""
    status = client_of(args).status()
    if output.is_json:
        output.document(status)
        return 0
    for line in summary_lines(status):
        output.line(line)
    if status.roots:
        output.line()
        print_roots(status.roots, output)
    for message in warnings(status):
        output.line(f"! {escaped(message)}")
    return 0


def summary_lines(status: StatusMessage) -> list[str]:
    """The daemon and the library in a few lines."""
    counts = status.counts
    pace = ""
    if status.images_per_s > 0:
        pace = f", {status.images_per_s:.1f} pictures/s"
    if status.eta_s is not None:
        pace += f", about {duration_text(status.eta_s)} left"
    files = count_text(counts.files, "file", "files")
    pictures = count_text(counts.contents, "picture", "pictures")
    pairs = count_text(counts.edges, "verified pair", "verified pairs")
    lines = [
        f"dedupd {escaped(status.version)}: {escaped(status.activity)}{pace}",
        f"running   since {local_time(status.started_at_ns)}, {count_text(status.workers, 'worker', 'workers')}",
        f"library   {files}, {pictures}, {pairs}",
    ]
    if status.memory is not None:
        memory = status.memory
        fewer = "" if memory.workers_allowed >= status.workers else f", {memory.workers_allowed} may work now"
        lines.append(f"memory    {memory.used_bytes >> 20:,} MiB of {memory.ceiling_bytes >> 20:,}{fewer}")
    if counts.files_pending or counts.contents_unlinked:
        lines.append(f"to do     {counts.files_pending:,} to read, {counts.contents_unlinked:,} to compare")
    if status.hold is not None:
        until = "" if status.hold.until is None else f", until {escaped(status.hold.until)}"
        lines.append(f"waiting   the backlog waits: {escaped(status.hold.words)}{until}")
    if counts.pairs_suggested:
        pairs = count_text(counts.pairs_suggested, "pair", "pairs")
        lines.append(f"models    suggest {pairs} more to look at")
    if counts.files_missing:
        lines.append(f"missing   {count_text(counts.files_missing, 'file', 'files')}")
    if counts.files_set_aside:
        lines.append(f"problems  {count_text(counts.files_set_aside, 'file', 'files')}: `dedupctl problems` says why")
    lines.append(f"index     {escaped(status.index_kind)}, {status.indexed:,} of {escaped(status.model)}")
    for generation in status.generations:
        lines += _generation_lines(generation)
    lines.append(
        f"so far    {status.read_total:,} read, {status.decoded_total:,} decoded, {status.compared_total:,} compared"
    )
    return lines


def _generation_lines(generation: GenerationMessage) -> list[str]:
    """How far a further model is, and the devices that run it."""
    standing = "serving" if generation.is_serving else "not complete yet"
    if not generation.is_configured:
        standing = "serving until what replaces it is complete"
    pace = f", {generation.images_per_s:.1f} pictures/s" if generation.images_per_s > 0 else ""
    if generation.eta_s is not None:
        pace += f", about {duration_text(generation.eta_s)} left"
    aside = f", {generation.set_aside:,} set aside" if generation.set_aside else ""
    done = f"{generation.done:,} of {generation.total:,}{aside}"
    return [
        f"model     {escaped(generation.name)}: {done}, {standing}{pace}",
        *(f"          {escaped(d.name)} {escaped(d.title)}: {_device_text(d)}" for d in generation.devices),
    ]


def _device_text(device: DeviceMessage) -> str:
    if device.trouble:
        return f"left out: {escaped(device.trouble)}"
    if not device.dtype:
        return "no work yet"
    busy = "" if device.utilisation is None else f", {device.utilisation:.0%} busy"
    return f"{device.images_per_s:.1f} pictures/s, {escaped(device.dtype)}, {device.batch_size} at once{busy}"


def print_roots(roots: tuple[RootMessage, ...], output: Output) -> None:
    """The roots as a table."""
    rows = [
        [
            str(root.id),
            root.state if root.is_watched else "not configured",
            "scanning" if root.is_scanning else "" if root.watching is None else root.watching.state,
            f"{root.files:,}",
            ", ".join(f"{count:,} {suffix or 'without suffix'}" for suffix, count in _most(root.others)),
            root.path,
        ]
        for root in roots
    ]
    output.table(["ROOT", "STATE", "WATCHING", "FILES", "PASSED OVER", "PATH"], rows, right=(0, 3))


def warnings(status: StatusMessage) -> list[str]:
    """What a person should act on."""
    messages = [
        f"{root.path} is {root.state}: {root.state_reason} "
        f"(if what it shows now is right: dedupctl roots accept {root.id})"
        for root in status.roots
        if root.state == "suspect"
    ]
    messages += [
        f"{root.path} is {root.state}: {root.state_reason}" for root in status.roots if root.state == "offline"
    ]
    messages += [root.watching.message for root in status.roots if root.watching and root.watching.message]
    told = " ".join(messages)
    return list(dict.fromkeys(messages + [message for message in status.degraded if message not in told]))


def _most(others: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(others.items(), key=lambda item: -item[1])[:3]
