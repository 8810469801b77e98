"""`dedupctl explain`: why two pictures are together, or not; in words, in figures, as a picture."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dedupd.cli.asking import absolute, client_of, open_regular, told_by_name
from dedupd.cli.groups import print_picture
from dedupd.cli.new_file import refuse_existing, write_new
from dedupd.cli.printing import Output, escaped
from dedupd.client import Client
from dedupd.client.body import Sent
from dedupd.core.errors import NotFoundError, RequestError
from dedupd.core.wording import likeness_text, percent_text
from dedupd.protocol.pictures import EvidenceMessage, FactMessage, FiguresMessage, PairMessage, PictureMessage
from dedupd.protocol.requests import SheetFormat

_CONTENT = re.compile(r"content:[0-9]+")
_FORMATS: dict[str, SheetFormat] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
_STANDING_MARKS = {"same": "", "differs": "differs", "contradicts": "CONTRADICTS: two shots", "unknown": ""}

Picture = bytes | Sent  # a path or content:NUMBER that the daemon looks up, or a file to send


def run(args: argparse.Namespace, output: Output) -> int:
    """Ask, print, and write the picture."""
    image = None if args.image is None else Path(args.image)
    if image is not None:
        image_format = _format_of(image)
        refuse_existing(image, is_forced=args.force)  # before the work, not after it
    client = client_of(args)
    with _asked(client, args.a, args.b) as (pair, a, b):
        if image is not None:
            write_new(image, client.draw_pair(a, b, image_format), is_forced=args.force)
    if output.is_json:
        output.document(pair)
        return 0
    _print(pair, output)
    if image is not None:
        output.line()
        output.line(f"picture: {escaped(str(image))}")
    return 0


def _format_of(image: Path) -> SheetFormat:
    try:
        return _FORMATS[image.suffix.lower()]
    except KeyError:
        known = ", ".join(_FORMATS)
        raise RequestError(f"{escaped(str(image))}: its name must end in one of {known}.") from None


@contextmanager
def _asked(client: Client, a: str, b: str) -> Iterator[tuple[PairMessage, Picture, Picture]]:
    """The answer, and how each picture was named so that it came.

    Asks with the paths as they were written, then with symlinks resolved; what the library does not know is sent.
    """
    written = _name(a, is_resolved=False), _name(b, is_resolved=False)
    resolved = _name(a, is_resolved=True), _name(b, is_resolved=True)
    unknown: NotFoundError | None = None
    for names in dict.fromkeys((written, resolved)):
        try:
            pair = client.explain(*names)
        except NotFoundError as error:
            unknown = unknown or error
        else:
            yield pair, *names
            return
    assert unknown is not None
    with ExitStack() as files:
        first, second = (_sent(name, files, unknown) for name in (a, b))
        yield client.explain(first, second), first, second


def _sent(name: str, files: ExitStack, unknown: NotFoundError) -> Picture:
    """A file to send. The daemon knows its bytes if the library has them, so it does not matter where it lies."""
    if _CONTENT.fullmatch(name):
        return name.encode()
    if not os.path.lexists(name):
        raise unknown
    with told_by_name(name):
        file = files.enter_context(open_regular(name, follow=True))
    return Sent(os.fsencode(Path(name).name), file)


def _name(text: str, *, is_resolved: bool) -> bytes:
    if _CONTENT.fullmatch(text):
        return text.encode()
    return os.fsencode(os.path.realpath(text) if is_resolved else absolute(text))


def _print(pair: PairMessage, output: Output) -> None:
    output.line(f"{escaped(pair.relation)}: {likeness_text(pair.similarity, pair.probability)}")
    output.line(escaped(pair.reason))
    for words in pair.words:
        output.line(escaped(words))
    output.line()
    for letter, picture in (("A", pair.a), ("B", pair.b)):
        output.line(letter)
        _print_picture(picture, output)
    for title, facts in (("metadata", pair.metadata), ("quality", pair.quality)):
        if facts:
            output.line()
            output.table([title.upper(), "A", "B", ""], [_row(fact) for fact in facts])
    lines = [] if pair.figures is None else _figure_lines(pair.figures)
    lines += [] if pair.evidence is None else _evidence_lines(pair, pair.evidence)
    if lines:
        output.line()
    for line in lines:
        output.line(escaped(line))


def _print_picture(picture: PictureMessage, output: Output) -> None:
    if picture.content:
        print_picture(picture, output)
    else:
        output.line(f"  not in the library, {escaped(picture.format)} {picture.width}×{picture.height}")


def _row(fact: FactMessage) -> list[str]:
    return [fact.name, fact.a or "-", fact.b or "-", _STANDING_MARKS.get(fact.standing, fact.standing)]


def _figure_lines(figures: FiguresMessage) -> list[str]:
    """The usual figures, and again with the tone evened out where that changes them."""
    lines = [
        f"aligned, {figures.width}×{figures.height} px: "
        + _figures_text(figures.mse, figures.psnr_db, figures.ssim)
        + f"; {figures.matches} of {figures.keypoints_a} and {figures.keypoints_b} keypoints match, "
        f"{figures.agreeing} agree"
    ]
    if figures.toned_mse != figures.mse:
        text = _figures_text(figures.toned_mse, figures.toned_psnr_db, figures.toned_ssim)
        lines.append(f"with the brightness evened out: {text}")
    return lines


def _figures_text(mse: float, psnr_db: float | None, ssim: float) -> str:
    psnr = "infinite" if psnr_db is None else f"{psnr_db:.1f} dB"
    return f"MSE {mse:.1f}, PSNR {psnr}, SSIM {ssim:.3f}"


def _evidence_lines(pair: PairMessage, evidence: EvidenceMessage) -> list[str]:
    agreement = (
        f"pixels agree to {percent_text(evidence.similarity)}; worst local correlation {evidence.residual_low:.2f}, "
        f"largest disagreeing region {percent_text(evidence.worst_region)}, motion {evidence.motion_px:.1f} px, "
        f"tone change {evidence.tone_change:.2f}"
    )
    lines = [agreement]
    lines += [
        f"differs at {percent_text(box.left)} … {percent_text(box.right)} across, "
        f"{percent_text(box.top)} … {percent_text(box.bottom)} down of A"
        for box in evidence.differences
    ]
    lines.append(f"looked at by {evidence.method}, decided by {pair.verifier}")
    return lines
