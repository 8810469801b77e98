"""`dedupctl explain`: why two pictures are together, or not."""

from __future__ import annotations

import argparse
import os
import re

from dedupd.cli.asking import absolute, client_of
from dedupd.cli.groups import print_picture
from dedupd.cli.printing import Output, escaped
from dedupd.client import Client
from dedupd.core.errors import NotFoundError
from dedupd.core.wording import percent_text
from dedupd.protocol.pictures import EvidenceMessage, PairMessage

_CONTENT = re.compile(r"content:[0-9]+")


def run(args: argparse.Namespace, output: Output) -> int:
    """Ask and print."""
    pair = _ask(client_of(args), args.a, args.b)
    if output.is_json:
        output.document(pair)
        return 0
    output.line(f"{escaped(pair.relation)}, {percent_text(pair.similarity)}: {escaped(pair.reason)}")
    output.line()
    output.line("A")
    print_picture(pair.a, output)
    output.line("B")
    print_picture(pair.b, output)
    if pair.evidence is not None:
        output.line()
        for line in _evidence_lines(pair, pair.evidence):
            output.line(escaped(line))
    return 0


def _ask(client: Client, a: str, b: str) -> PairMessage:
    """Ask with the paths as they were written; if the library does not know them, with symlinks resolved."""
    written = _name(a, is_resolved=False), _name(b, is_resolved=False)
    resolved = _name(a, is_resolved=True), _name(b, is_resolved=True)
    try:
        return client.explain(*written)
    except NotFoundError:
        if written == resolved:
            raise
    return client.explain(*resolved)


def _name(text: str, *, is_resolved: bool) -> bytes:
    if _CONTENT.fullmatch(text):
        return text.encode()
    return os.fsencode(os.path.realpath(text) if is_resolved else absolute(text))


def _evidence_lines(pair: PairMessage, evidence: EvidenceMessage) -> list[str]:
    lines = [f"looked at by {evidence.method}, decided by {pair.verifier}"]
    geometry = evidence.geometry
    if geometry is not None:
        mirrored = ", mirrored" if geometry.is_mirrored else ""
        lines.append(
            f"B on A: scale {geometry.scale:.3f}, turned {round(geometry.rotation_deg, 1) + 0.0:.1f}°{mirrored}; "
            f"B covers {percent_text(geometry.overlap_of_a)} of A, A covers {percent_text(geometry.overlap_of_b)} of B"
        )
    lines.append(
        f"pixels agree to {percent_text(evidence.similarity)}; worst local correlation {evidence.residual_low:.2f}, "
        f"largest disagreeing region {percent_text(evidence.worst_region)}, motion {evidence.motion_px:.1f} px, "
        f"tone change {evidence.tone_change:.2f}"
    )
    lines += [
        f"differs at {percent_text(box.left)} … {percent_text(box.right)} across, "
        f"{percent_text(box.top)} … {percent_text(box.bottom)} down"
        for box in evidence.differences
    ]
    return lines
