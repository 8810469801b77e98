"""Writes a report as one HTML page that needs nothing else: no network, no other file, no script to be readable.

The page is made piece by piece. Its rules against active content allow data: pictures and the one style sheet and
script that this module puts in, named by their hashes; names of files cannot become either.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from importlib.resources import files
from itertools import islice

from dedupd.core.records import ContentId
from dedupd.core.report import Report
from dedupd.core.wording import bytes_text, count_text
from dedupd.protocol.text import utc_text
from dedupd.reporting.html_group import KIND_MEANINGS, KIND_NAMES, PairOf, display_path, group_card

PICTURED_GROUPS = 500  # the groups that free the most come with pictures; previews are about 20 kB each
PICTURE_BUDGET_BYTES = 40_000_000  # of JPEG; a page twice this size opens slowly on a tablet
SHOWN_GROUPS = 5_000  # 3 kB of HTML each; what is beyond is in the JSON and CSV forms

_Preview = Callable[[ContentId], bytes | None]


class _Pictures:
    """Hands out previews while the budget lasts. Owned by one call of `html_chunks`."""

    def __init__(self, preview: _Preview) -> None:
        self._preview = preview
        self._left_bytes = PICTURE_BUDGET_BYTES
        self.is_spent = False

    def take(self, content: ContentId) -> bytes | None:
        """The preview, or None when there is none or the budget is spent."""
        if self.is_spent:
            return None
        jpeg = self._preview(content)
        if jpeg is not None:
            self._left_bytes -= len(jpeg)
            self.is_spent = self._left_bytes <= 0
        return jpeg


def html_chunks(
    report: Report,
    preview: _Preview,
    pair: PairOf,
    *,
    pictured_groups: int = PICTURED_GROUPS,
    shown_groups: int = SHOWN_GROUPS,
) -> Iterator[bytes]:
    """The page in UTF-8: head, summary and tools, then a card for each group.

    Args:
        report: what to show.
        preview: the small JPEG of a content, or None; asked once a shown picture, within PICTURE_BUDGET_BYTES.
        pair: what is known of the pair of two contents, or None; asked once a copy in a group with pictures.
        pictured_groups: how many groups come with pictures, and what differs marked on them.
        shown_groups: how many groups stand on the page at all.
    """
    style = files("dedupd.reporting").joinpath("page.css").read_text(encoding="utf-8")
    script = files("dedupd.reporting").joinpath("page.js").read_text(encoding="utf-8")
    yield (_head(report, style, script) + _summary(report) + _tools(report)).encode()
    pictures = _Pictures(preview)
    first_without: int | None = None
    for number, group in enumerate(islice(report.groups, shown_groups), start=1):
        if first_without is None and (pictures.is_spent or number > pictured_groups):
            first_without = number
            yield _note(
                f"From here on without pictures, so that the page stays quick to open: the {number - 1:,} groups above"
                " free the most."
            ).encode()
        if first_without is None:
            yield group_card(group, number, pictures.take, pair).encode()
        else:
            yield group_card(group, number, _no_picture, _no_pair).encode()
    if report.duplicate_groups > shown_groups:
        rest = report.duplicate_groups - shown_groups
        yield _note(
            f"{count_text(rest, 'more group is', 'more groups are')} not on this page."
            " The JSON and CSV reports hold every group."
        ).encode()
    yield _foot(script).encode()


def _no_picture(content: ContentId) -> None:  # noqa: ARG001  the signature is PictureOf's
    return None


def _no_pair(keep: ContentId, content: ContentId) -> None:  # noqa: ARG001  the signature is PairOf's
    return None


def _head(report: Report, style: str, script: str) -> str:
    policy = (
        "default-src 'none'; img-src data:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>Duplicate photos, {utc_text(report.generated_at_ns)[:10]}</title>\n"
        f"<style>{style}</style>\n</head>\n<body>\n"
    )


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"sha256-{digest}"


def _summary(report: Report) -> str:
    when = utc_text(report.generated_at_ns)
    roots = " and ".join(display_path(root) for root in report.roots)
    among = f"Among {count_text(report.total_images, 'picture', 'pictures')}" + (f" in {roots}" if roots else "")
    if not report.duplicate_groups:
        title, told = "No duplicates", f"{among}, no two are duplicates of each other."
    else:
        title = f"{bytes_text(report.frees_bytes)} in duplicates"
        beside = count_text(report.total_duplicates, "file is a duplicate", "files are duplicates")
        told = (
            f"{among}, {beside} of {count_text(report.duplicate_groups, 'picture that stays', 'pictures that stay')}."
        )
    return (
        f'<header class="top">\n<p class="when">dedupd report · <time datetime="{when}">{when[:10]} {when[11:16]} UTC'
        f'</time></p>\n<h1>{title}</h1>\n<p class="told">{told}</p>\n{_shares(report)}{_cautions(report)}</header>\n'
    )


def _shares(report: Report) -> str:
    """What each relation adds to the whole: a bar, and under it the same in words."""
    whole = report.frees_bytes
    bar, x = "", 0.0
    for share in report.shares:
        width = 100 * share.frees_bytes / whole if whole else 0
        bar += f'<rect class="{share.relation}" x="{x:.3f}" y="0" width="{width:.3f}" height="1"/>'
        x += width
    items = "".join(
        f'<li><span class="badge {share.relation}">{KIND_NAMES[share.relation]}</span>'
        f" <b>{count_text(share.files, 'file', 'files')}</b>,"
        f" {bytes_text(share.frees_bytes)}<small>{KIND_MEANINGS[share.relation]}</small></li>"
        for share in report.shares
    )
    picture = f'<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">{bar}</svg>\n'
    return f'{picture if whole else ""}<ul class="kinds">{items}</ul>\n' if report.shares else ""


def _cautions(report: Report) -> str:
    lines = []
    if report.pending:
        lines.append(
            f"<b>Not complete yet:</b> {count_text(report.pending, 'file or picture is', 'files and pictures are')}"
            " still to be worked off."
        )
    if report.problems:
        lines.append(
            f"{count_text(report.problems, 'file', 'files')} could not be read;"
            " <code>dedupctl problems</code> says which and why."
        )
    return "".join(f'<p class="caution">{line}</p>\n' for line in lines)


def _tools(report: Report) -> str:
    """Search, filter and sort. Hidden until the script runs, because without it they would do nothing."""
    boxes = "".join(
        f'<label class="kind"><input type="checkbox" value="{kind}" checked> {KIND_NAMES[kind]}</label>'
        for kind in (share.relation for share in report.shares)
    )
    return (
        '<form class="tools" id="tools" role="search" aria-label="Groups" hidden>\n'
        '<label class="find"><span class="unseen">Search by path</span>'
        '<input type="search" id="find" placeholder="Search by path" autocomplete="off" spellcheck="false"></label>\n'
        f'<fieldset><legend class="unseen">Relations shown</legend>{boxes}</fieldset>\n'
        '<label class="sort">Sort <select id="sort"><option value="frees">most space first</option>'
        '<option value="files">most copies first</option><option value="similarity">least alike first</option>'
        '<option value="path">by path</option></select></label>\n'
        '<output id="count" role="status"></output>\n</form>\n<main id="groups">\n'
    )


def _note(text: str) -> str:
    return f'<p class="note">{text}</p>\n'


def _foot(script: str) -> str:
    return (
        '<p class="note" id="nothing" hidden>No group fits. Show more relations or search for something shorter.</p>\n'
        "</main>\n<footer><p>dedupd changed nothing to make this report. Sizes are what the file system could"
        " give back; hard links of a file that stays count as nothing, and space shared by snapshots or reflinks is not"
        f" known here.</p></footer>\n<script>{script}</script>\n</body>\n</html>\n"
    )
