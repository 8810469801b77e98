"""Progress of a one-shot scan: two bars, a rate and an estimate that says so when it cannot know yet."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from dedupd.core import ports


class ScanDisplay:
    """A live display on a terminal; on anything else it prints nothing until the end."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._read: TaskID = self._bars.add_task("reading", total=None, note="")
        self._linked: TaskID = self._bars.add_task("comparing", total=None, note="")

        self._models: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def show(self, progress: ports.Progress) -> None:
        """Bring the bars up to date."""
        counts = progress.counts
        files = counts.files - counts.files_missing
        is_counting = any(root.is_scanning for root in progress.roots)
        done = files - counts.files_pending
        rate = f"{progress.images_per_s:.0f}/s" if progress.images_per_s else ""
        if is_counting:
            note = f"{rate}  still counting files"
        else:
            note = f"{rate}  {duration(progress.eta_s)} left" if progress.eta_s is not None else rate
        self._bars.update(self._read, completed=done, total=None if is_counting else max(files, 1), note=note)
        linked = counts.contents - counts.contents_unlinked
        self._bars.update(
            self._linked,
            completed=linked,
            total=max(counts.contents, 1),
            note=f"{progress.compared_total:,} pairs looked at",
        )
        for generation in progress.generations:
            self._show_model(generation)

    def _show_model(self, generation: ports.GenerationProgress) -> None:
        if generation.model not in self._models:
            self._models[generation.model] = self._bars.add_task("model", total=None, note="")
        rate = f"{generation.images_per_s:.0f}/s  " if generation.images_per_s else ""
        self._bars.update(
            self._models[generation.model],
            completed=generation.done,
            total=max(generation.total, 1),
            note=f"{rate}{generation.name}",
        )


def duration(seconds: float | None) -> str:
    """A span of time as a person says it."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
