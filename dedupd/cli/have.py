"""`dedupctl have`: whether every photo of a card is already in the library.

A card is wiped on this answer, so it is careful: a copy in the folders asked about does not count, nor one on a root
that is offline, and what cannot be read counts as missing.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dedupd.cli.asking import FileTroubleError, client_of, open_regular, told_by_name, warn_if_incomplete
from dedupd.cli.card import Card, Photo, digests_of, walk
from dedupd.cli.documents import HadPhoto, HaveDocument
from dedupd.cli.printing import Output, escaped, raw_path
from dedupd.client import Client
from dedupd.client.refusals import PictureRefusedError
from dedupd.core.errors import AccessError, NotFoundError, RequestError
from dedupd.core.ignore_rules import suffix_of
from dedupd.core.wording import count_text, probability_text
from dedupd.protocol.names import DUPLICATE_RELATIONS
from dedupd.protocol.pictures import FileMessage, FindMessage
from dedupd.protocol.text import path_b64, path_text

_BATCH = 500  # digests in one question
_NO_PICTURE = "not-an-image"

Advance = Callable[[int], None]


def run(args: argparse.Namespace, output: Output) -> int:
    """Ask about every photo; 0 all there, 1 some missing."""
    client = client_of(args)
    warn_if_incomplete(client.status())  # before minutes of reading
    card = walk(args.folders)
    with _progress(len(card.photos), output) as advance:
        photos = list(_Inquiry(client, card, args.relation).verdicts(advance))
    photos += [_unreadable(path, why) for path, why in card.unreadable]
    document = HaveDocument(
        is_complete=all(photo.verdict == "there" for photo in photos),
        relation=args.relation,
        photos=tuple(photos),
        passed_over=dict(sorted(card.passed_over.items())),
    )
    if output.is_json:
        output.document(document)
    else:
        _print(document, output)
    return int(not document.is_complete)


class _Inquiry:
    """One card against the library: bytes first, and only what is not known byte for byte is sent."""

    def __init__(self, client: Client, card: Card, relation: str) -> None:
        self._client = client
        self._card = card
        self._accepted = DUPLICATE_RELATIONS[: DUPLICATE_RELATIONS.index(relation) + 1]

    def verdicts(self, advance: Advance) -> Iterator[HadPhoto]:
        batch: list[tuple[Photo, str]] = []
        for photo, digest, trouble in digests_of(self._card.photos):
            if trouble:
                yield _unreadable(photo.path, trouble, photo.size_bytes)
                advance(1)
                continue
            batch.append((photo, digest))
            if len(batch) == _BATCH:
                yield from self._batch_verdicts(batch, advance)
                batch = []
        yield from self._batch_verdicts(batch, advance)

    def _batch_verdicts(self, batch: list[tuple[Photo, str]], advance: Advance) -> Iterator[HadPhoto]:
        known = {}
        if batch:
            known = {entry.digest: entry.files for entry in self._client.have(digest for _, digest in batch).known}
        for photo, digest in batch:
            copy = self._copy_elsewhere(known.get(digest, ()))
            if copy is not None:
                yield _had(photo, "there", "same-bytes", 1.0, copy)
            elif (verdict := self._sent_verdict(photo)) is not None:
                yield verdict
            advance(1)

    def _sent_verdict(self, photo: Photo) -> HadPhoto | None:
        """The verdict on a photo whose bytes are unknown; None when it turns out to be no picture."""
        try:
            answer = self._send(photo)
        except PictureRefusedError as error:
            if error.problem_code == _NO_PICTURE and suffix_of(photo.path.rpartition(b"/")[2]) == "":
                self._card.passed_over[""] += 1
                return None
            return _unreadable(photo.path, str(error), photo.size_bytes)
        except (FileTroubleError, AccessError, NotFoundError, RequestError) as error:
            return _unreadable(photo.path, str(error), photo.size_bytes)
        return self._closest(photo, answer)

    def _send(self, photo: Photo) -> FindMessage:
        with told_by_name(photo.path):
            file = open_regular(photo.path, follow=False)
        with file:
            return self._client.find(file)

    def _closest(self, photo: Photo, answer: FindMessage) -> HadPhoto:
        for match in answer.matches:  # the closest relation first
            copy = self._copy_elsewhere(match.picture.files)
            if copy is not None and match.relation in DUPLICATE_RELATIONS:
                verdict = "there" if match.relation in self._accepted else "looser"
                return _had(photo, verdict, match.relation, match.probability, copy)
        return _had(photo, "missing", None, None, None)

    def _copy_elsewhere(self, files: tuple[FileMessage, ...]) -> FileMessage | None:
        return next((file for file in files if file.is_present and not self._card.holds(raw_path(file))), None)


def _had(
    photo: Photo, verdict: str, relation: str | None, probability: float | None, copy: FileMessage | None
) -> HadPhoto:
    return HadPhoto(
        path=path_text(photo.path),
        path_b64=path_b64(photo.path),
        size_bytes=photo.size_bytes,
        verdict=verdict,
        relation=relation,
        probability=probability,
        copy=None if copy is None else copy.path,
        detail="",
    )


def _unreadable(path: bytes, why: str, size_bytes: int = 0) -> HadPhoto:
    return HadPhoto(
        path=path_text(path),
        path_b64=path_b64(path),
        size_bytes=size_bytes,
        verdict="unreadable",
        relation=None,
        probability=None,
        copy=None,
        detail=why.partition("\n")[0],
    )


def _print(document: HaveDocument, output: Output) -> None:
    titles = {
        "missing": "missing:",
        "unreadable": "cannot be read, so nothing can be said of them:",
        "looser": f"only a looser copy than {document.relation} is there:",
    }
    for verdict, title in titles.items():
        chosen = [photo for photo in document.photos if photo.verdict == verdict]
        if chosen:
            output.line(title)
        for photo in chosen:
            beside = f"  ({photo.detail})" if photo.detail else ""
            if photo.copy is not None:
                probability = probability_text(photo.probability or 0.0)
                beside = f"  ({photo.relation} of {photo.copy}{probability and f', one shot to {probability}'})"
            output.line(f"  {escaped(photo.path + beside)}")
    verdicts = Counter(photo.verdict for photo in document.photos)
    output.line(
        f"{count_text(len(document.photos), 'photo', 'photos')}: {verdicts['there']:,} there, "
        f"{verdicts['looser']:,} only in a looser copy, {verdicts['missing']:,} missing, "
        f"{verdicts['unreadable']:,} unreadable."
    )
    if document.passed_over:
        parts = ", ".join(f"{count:,} {kind or 'without suffix'}" for kind, count in document.passed_over.items())
        output.line(f"Not looked at: {escaped(parts)}.")


@contextmanager
def _progress(total: int, output: Output) -> Iterator[Advance]:
    """A bar on standard error while a person looks on."""
    if output.is_json or not sys.stderr.isatty():
        yield lambda _count: None
        return
    from rich.console import Console  # noqa: PLC0415 - only for a person
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("asking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("asking", total=total)
        yield lambda count: bar.advance(task, count)
