"""One group as a card of the HTML page: the kept picture on the left, its copies beside it, what differs marked.

Pure text making. Everything that comes from files is escaped here; pictures come in as data: URIs.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterator
from itertools import groupby

from dedupd.core.records import ContentId, Edge, Relation
from dedupd.core.report import ReportFile, ReportGroup
from dedupd.core.wording import bytes_text, count_text, path_words, percent_text
from dedupd.protocol.text import camera_text, utc_text
from dedupd.reporting.html_difference import Difference, difference_of, marks, told

KIND_NAMES = {
    Relation.SAME_BYTES: "Exact copy",
    Relation.SAME_PIXELS: "Same pixels",
    Relation.RE_ENCODED: "Re-encoded",
    Relation.EDITED: "Edited",
    Relation.SIMILAR: "Similar",
    Relation.DIFFERENT: "Different",
}
KIND_MEANINGS = {
    Relation.SAME_BYTES: "the files are equal byte for byte",
    Relation.SAME_PIXELS: "equal pixels; only metadata or container differ",
    Relation.RE_ENCODED: "the whole picture in another quality, size or format",
    Relation.EDITED: "cropped, turned, recoloured, bordered or captioned",
    Relation.SIMILAR: "the same scene, another exposure",
    Relation.DIFFERENT: "not the same picture",
}
_SHOWN_SIDE_PX = 384  # long side of a preview (core.ports.SMALL_SIDE_PX)

PictureOf = Callable[[ContentId], bytes | None]
PairOf = Callable[[ContentId, ContentId], Edge | None]


def group_card(group: ReportGroup, number: int, picture: PictureOf, pair: PairOf) -> str:
    """The card of a group.

    Args:
        group: what to show.
        number: its place in the report, from 1.
        picture: the JPEG to show of a content, or None for a card without.
        pair: what is known of the pair of two contents, or None.
    """
    kinds = sorted({f.relation for f in group.duplicates if f.relation}, key=lambda r: r.rank)
    badges = "".join(_badge(kind) for kind in kinds)
    frees = f"frees {bytes_text(group.frees_bytes)}" if group.frees_bytes else "frees nothing: hard links"
    return (
        f'<article class="group" id="g{number}" aria-labelledby="t{number}" data-frees="{group.frees_bytes}"'
        f' data-files="{len(group.duplicates)}" data-similarity="{group.similarity:.4f}"'
        f' data-kinds="{" ".join(kinds)}">\n'
        f'<header><h2 id="t{number}">{_name(group.keep)}</h2><p class="badges">{badges}</p>'
        f'<p class="frees">{frees}</p><a class="number" href="#g{number}" title="Link to this group">{number}</a>'
        f'</header>\n<div class="sides">\n{_keep_side(group.keep, picture)}'
        f'<div class="copies">\n{"".join(_copies(group, picture, pair))}</div>\n</div>\n{_related(group)}</article>\n'
    )


def _keep_side(file: ReportFile, picture: PictureOf) -> str:
    return (
        f'<figure class="side keep">{_frame(file, picture, "")}<figcaption>'
        f'<p class="mark">Keep</p>{_path(file)}{_facts(file, None)}<p class="why">{_safe(file.reason)}</p>'
        "</figcaption></figure>\n"
    )


def _copies(group: ReportGroup, picture: PictureOf, pair: PairOf) -> Iterator[str]:
    """One tile for each content: files of the same bytes share a picture."""
    for content, grouped in groupby(group.duplicates, key=lambda f: f.content):
        files = list(grouped)
        if content == group.keep.content:
            yield _twins(files)
            continue
        edge = pair(group.keep.content, content)
        difference = None if edge is None else difference_of(edge, group.keep.content)
        yield _copy_side(files, group.keep, picture, difference)


def _twins(files: list[ReportFile]) -> str:
    """Copies of the kept picture's very bytes: there is nothing to compare, so only where they are."""
    items = "".join(f'<li>{_path(f)}<p class="why">{_twin_note(f)}</p></li>' for f in files)
    count = count_text(len(files), "exact copy", "exact copies")
    return (
        f'<section class="side twins"><h3 class="badge same-bytes">{count}</h3>'
        f'<p class="why">Equal to the kept file byte for byte.</p><ul class="paths">{items}</ul></section>\n'
    )


def _twin_note(file: ReportFile) -> str:
    if file.frees_bytes == 0:
        return "hard link: takes no space of its own"
    return f"frees {bytes_text(file.frees_bytes)} · modified {_day(file)}"


def _copy_side(files: list[ReportFile], keep: ReportFile, picture: PictureOf, difference: Difference | None) -> str:
    first, *more = files
    kind = first.relation or Relation.SIMILAR
    likeness = "" if kind is Relation.SAME_PIXELS else f'<span class="likeness">{percent_text(first.similarity)}</span>'
    if likeness and first.probability > 0:
        likeness += f'<span class="likeness">one shot to {percent_text(first.probability)}</span>'
    others = ""
    if more:
        paths = "".join(f"<li>{_path(f)}</li>" for f in more)
        others = f'<p class="why">The same bytes also here:</p><ul class="paths">{paths}</ul>'
    marked, how = "", ""
    if difference is not None:
        marked = marks(_shown_size(first), difference.on_copy, difference.kept_edge)
        how = told(difference, kind, _kept_again(keep, picture, difference))
    return (
        f'<figure class="side copy">{_frame(first, picture, "compare", marked)}<figcaption>'
        f'<p class="verdict">{_badge(kind)}{likeness}</p>{_path(first)}{_facts(first, keep)}'
        f'<p class="why">{_safe(first.reason)}</p>{how}{others}</figcaption></figure>\n'
    )


def _kept_again(keep: ReportFile, picture: PictureOf, difference: Difference) -> str:
    """The kept picture with this copy's edge and what differs, where there is anything to mark."""
    marked = marks(_shown_size(keep), difference.on_kept, difference.copy_edge)
    jpeg = picture(keep.content) if marked else None
    return "" if jpeg is None else _pictured(keep, jpeg, "small", marked)


def _related(group: ReportGroup) -> str:
    if not group.related:
        return ""
    items = "".join(f"<li>{_path(f)}</li>" for f in group.related)
    one = "related picture, not counted as a duplicate"
    many = "related pictures, not counted as duplicates"
    return (
        f'<details class="related"><summary>{count_text(len(group.related), one, many)}</summary>'
        '<p class="why">They resemble a copy above, but were not verified against the kept picture.</p>'
        f'<ul class="paths">{items}</ul></details>\n'
    )


def _frame(file: ReportFile, picture: PictureOf, extra: str, marked: str = "") -> str:
    """The picture in its frame, or a sheet with the format's name where there is none."""
    jpeg = picture(file.content)
    if jpeg is None:
        return f'<div class="frame empty" aria-hidden="true"><span>{_safe(file.format)}</span></div>'
    return _pictured(file, jpeg, extra, marked)


def _pictured(file: ReportFile, jpeg: bytes, extra: str, marked: str) -> str:
    width, height = _shown_size(file)
    alt = html.escape(f"{path_words(_split(file.path)[1])}, {file.width_px} × {file.height_px} {file.format}")
    return (
        f'<div class="frame {extra}"><img loading="lazy" decoding="async" width="{width}" height="{height}" alt="{alt}"'
        f' src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode("ascii")}">{marked}</div>'
    )


def _shown_size(file: ReportFile) -> tuple[int, int]:
    """Width and height of a file's preview."""
    scale = min(1.0, _SHOWN_SIDE_PX / max(file.width_px, file.height_px, 1))
    return max(1, round(file.width_px * scale)), max(1, round(file.height_px * scale))


def _facts(file: ReportFile, keep: ReportFile | None) -> str:
    """What the file is; beside a kept file, what differs is marked; not the file's date, each copy has its own."""
    facts = (
        ("Pixels", _pixels, _pixels_note(file, keep)),
        ("File", _size, _size_note(file, keep)),
        ("Format", _format, ""),
        ("Taken", _taken, ""),
        ("Modified", _day, ""),
    )
    rows = ""
    for label, value, note in facts:
        is_told = keep is not None and value is not _day and value(file) != value(keep)
        mark = ' class="differs"' if is_told else ""
        small = f" <small>{note}</small>" if note else ""
        rows += f"<div{mark}><dt>{label}</dt><dd>{_safe(value(file))}{small}</dd></div>"
    return f'<dl class="facts">{rows}</dl>'


def _pixels(file: ReportFile) -> str:
    return f"{file.width_px} × {file.height_px}"


def _size(file: ReportFile) -> str:
    return bytes_text(file.size_bytes)


def _format(file: ReportFile) -> str:
    return file.format


def _pixels_note(file: ReportFile, keep: ReportFile | None) -> str:
    area = file.width_px * file.height_px
    if keep is None or not keep.width_px * keep.height_px:
        return f"{area / 1e6:.1f} MP"
    return "" if _pixels(file) == _pixels(keep) else _ratio(area / (keep.width_px * keep.height_px))


def _size_note(file: ReportFile, keep: ReportFile | None) -> str:
    if keep is None or not keep.size_bytes or _size(file) == _size(keep):
        return ""
    return _ratio(file.size_bytes / keep.size_bytes)


def _ratio(ratio: float) -> str:
    """How much of the kept file's: 25 % of kept, 2.3 × kept."""
    if 0.995 <= ratio < 1.005:
        return "as much as kept"
    if ratio >= 1.995:
        return f"{ratio:.1f} × kept"
    return f"{'&lt; 1' if ratio < 0.01 else f'{ratio * 100:.0f}'} % of kept"


def _taken(file: ReportFile) -> str:
    text = camera_text(file.taken_at_ms)
    return "not recorded" if text is None else text[:19].replace("T", " ")


def _day(file: ReportFile) -> str:
    return utc_text(file.mtime_ns)[:10]


def _badge(kind: Relation) -> str:
    return f'<span class="badge {kind}" title="{KIND_MEANINGS[kind]}">{KIND_NAMES[kind]}</span>'


def _name(file: ReportFile) -> str:
    return f"<bdi>{_safe(path_words(_split(file.path)[1]))}</bdi>"


def _path(file: ReportFile) -> str:
    """The folder and the name; searched by the page's script, selected whole by a click."""
    folder = _safe(path_words(_split(file.path)[0]) + "/").replace("/", "/<wbr>")
    return f'<p class="path"><bdi><span class="folder">{folder}</span>{_name(file)}</bdi></p>'


def _split(path: bytes) -> tuple[bytes, bytes]:
    """Folder (without the slash) and name."""
    folder, _, name = path.rpartition(b"/")
    return folder, name


def display_path(path: bytes) -> str:
    """A path as HTML."""
    return f"<bdi>{_safe(path_words(path))}</bdi>"


def _safe(text: str) -> str:
    return html.escape(text, quote=True)
