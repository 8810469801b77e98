"""`dedupd calibrate`: what each model's candidate similarity finds and costs on this library. Changes nothing.

Copies are made of pictures drawn at random, and asked for; pairs drawn at random say how near pictures are by chance.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from dedupd.core.arrays import Pixels
from dedupd.core.candidate_figures import CHANCE_ALLOWED, ThresholdFigures, advised, figures_at
from dedupd.core.errors import RequestError
from dedupd.core.ports import Descriptor, Embedder, EmbedItem
from dedupd.core.records import ContentId
from dedupd.daemon.further import device_embedders, make_further
from dedupd.embedding.local_embedder import LocalEmbedder
from dedupd.imaging.decode import decode_preview
from dedupd.imaging.made_copies import made_copies
from dedupd.settings.schema import Settings
from dedupd.store import DiskPreviewCache, LmdbLibrary

_log = logging.getLogger(__name__)

FEWEST_PICTURES = 20
_SEED = 20261128  # the same pictures each time, so that two runs can be compared
_CHANCE_PAIRS = 200_000
_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What was measured of one model."""

    model: str
    pictures: int  # of the library
    measured: int  # pictures that copies were made of
    configured: ThresholdFigures  # at the candidate similarity in force
    advised: ThresholdFigures


def run_calibration(settings: Settings, state_dir: Path, *, pictures: int, as_json: bool) -> int:
    """Measure the built-in descriptor and every configured model, and print it; the exit code.

    Raises:
        DedupdError: as `calibrate`, or a model cannot be used.
    """
    further = make_further(settings, device_embedders(settings, state_dir, _log.warning))
    own = LocalEmbedder()
    embedders: list[tuple[str, Embedder]] = [("builtin", own), *((model.name, model.embedder) for model in further)]
    try:
        with Progress(console=Console(stderr=True, quiet=as_json), transient=True) as bar:
            task = bar.add_task("describing copies", total=pictures * len(embedders))
            found = calibrate(state_dir, embedders, pictures=pictures, advance=lambda n: bar.advance(task, n))
    finally:
        for _, embedder in embedders:
            embedder.close()
    if as_json:
        print(msgspec.json.encode(found).decode())  # noqa: T201 - a command's answer
    else:
        print_calibrations(found, Console(highlight=False))
    return 0


def calibrate(
    state_dir: Path, embedders: Iterable[tuple[str, Embedder]], *, pictures: int, advance: Callable[[int], None]
) -> list[Calibration]:
    """Measure each model on up to `pictures` pictures of the library; `advance` is told of each one described.

    Raises:
        StopError: the library cannot be opened (a daemon that runs holds it).
        RequestError: it holds too few pictures.
    """
    library = LmdbLibrary(state_dir)
    try:
        with library.view() as view:
            contents = sorted(content.id for content in view.contents())
            drawn = random.Random(_SEED).sample(contents, min(pictures, len(contents)))  # noqa: S311 - no secret
            chosen = frozenset(drawn)
            kin = {(e.a, e.b) for e in view.edges() if e.a in chosen and e.b in chosen}
    finally:
        library.close()
    shown = dict(_shown(DiskPreviewCache(state_dir / "previews"), drawn))
    if len(shown) < FEWEST_PICTURES:
        raise RequestError(
            f"The library holds {len(shown)} pictures with a preview; {FEWEST_PICTURES} or more are needed to say "
            "anything. Scan more folders first."
        )
    order = list(shown)
    related = {(order.index(a), order.index(b)) for a, b in kin if a in shown and b in shown}
    sample = _Sample(pictures=list(shown.values()), related=related | {(b, a) for a, b in related})
    return [_measured(name, embedder, sample, len(contents), advance) for name, embedder in embedders]


@dataclass(frozen=True, slots=True)
class _Sample:
    """Pictures drawn at random, and which of them (by position) were compared and are alike: no chance pairs."""

    pictures: Sequence[Pixels]
    related: set[tuple[int, int]]


def _shown(previews: DiskPreviewCache, contents: Iterable[ContentId]) -> Iterable[tuple[ContentId, Pixels]]:
    for content in contents:
        preview = previews.get(content)
        if preview is not None:
            yield content, decode_preview(preview)


def _measured(
    name: str, embedder: Embedder, sample: _Sample, pictures: int, advance: Callable[[int], None]
) -> Calibration:
    shown = sample.pictures
    described: list[Descriptor] = []
    copies: dict[str, list[float]] = {}
    for start in range(0, len(shown), _BATCH):
        some = shown[start : start + _BATCH]
        originals = _described(embedder, some)
        made = [made_copies(picture) for picture in some]
        edits = list(made[0])
        asked = _described(embedder, [of_one[edit] for of_one in made for edit in edits])
        for position, descriptor in enumerate(asked):
            original, edit = divmod(position, len(edits))
            nearest = float((descriptor.queries @ originals[original].stored.T).max())
            copies.setdefault(edits[edit], []).append(nearest)
        described += originals
        advance(len(some))
    chance = _chance(described, sample.related)
    configured = figures_at(embedder.model.candidate_similarity, copies, chance, pictures)
    return Calibration(
        model=name,
        pictures=pictures,
        measured=len(shown),
        configured=configured,
        advised=advised(copies, chance, pictures),
    )


def _described(embedder: Embedder, pictures: Sequence[Pixels]) -> list[Descriptor]:
    return embedder.embed([EmbedItem(digest=b"", path=None, small=picture) for picture in pictures]).result()


def _chance(described: Sequence[Descriptor], related: set[tuple[int, int]]) -> list[float]:
    """Similarities of random pairs of different pictures that are not known to be alike, in ascending order."""
    rng = np.random.default_rng(_SEED)
    count = len(described)
    pairs = min(_CHANCE_PAIRS, count * (count - 1))
    asking = rng.integers(0, count, pairs)
    asked = (asking + rng.integers(1, count, pairs)) % count
    return sorted(
        float((described[a].queries @ described[b].stored.T).max())
        for a, b in zip(asking.tolist(), asked.tolist(), strict=True)
        if (a, b) not in related
    )


def print_calibrations(found: Iterable[Calibration], console: Console) -> None:
    """A table for each model: recall by edit, and what chance costs."""
    for one in found:
        table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
        table.add_column("what was done to the copy")
        for figures, word in ((one.configured, "in force"), (one.advised, "advised")):
            table.add_column(f"{word}: {figures.similarity:.2f}", justify="right")
        for edit in one.configured.recall_by_edit:
            table.add_row(edit, *(f"{f.recall_by_edit[edit]:.1%}" for f in (one.configured, one.advised)))
        table.add_section()
        table.add_row("all copies found", *(f"{f.recall:.1%}" for f in (one.configured, one.advised)))
        table.add_row("random pairs as near", *(f"{f.chance:.3%}" for f in (one.configured, one.advised)))
        table.add_row(
            "unrelated pictures as near, a picture",
            *(f"{f.chance_a_picture:.1f}" for f in (one.configured, one.advised)),
        )
        console.print(f"\n[bold]{one.model}[/], {one.measured:,} of {one.pictures:,} pictures", highlight=False)
        console.print(table, highlight=False)
    console.print(
        f"\nAdvised: the lowest at which up to {CHANCE_ALLOWED:.0f} unrelated pictures are as near to one as a copy "
        "must be. What is compared in vain costs time only; what is not compared is not found.\n"
        "A model's own: [models] thresholds = { \"NAME\" = 0.85 }; the built-in descriptor's is fixed.",
        markup=False,
        soft_wrap=True,
    )
