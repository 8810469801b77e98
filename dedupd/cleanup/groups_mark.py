"""What tells that the library moved on since a plan was drawn up: one digest over the groups that it acts on.

Reads one view; owns nothing. The files themselves are looked at again by the actor, one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from blake3 import blake3

from dedupd.core import stat_key
from dedupd.core.cleanup_plan import PlanItem
from dedupd.core.grouping import Group
from dedupd.core.ports import Groups, LibraryView
from dedupd.core.records import ContentId, Relation

_NUMBER = struct.Struct("<Q")


def groups_mark(view: LibraryView, groups: Groups, items: Iterable[PlanItem]) -> bytes:
    """BLAKE3-256 over the contents, relations and present files of the groups that hold what the items name.

    The same library and items always give the same; a picture that joined or left, a file that came, went, moved or
    changed, a pair that was looked at again, and what a person said of them give another.
    """
    listed = list(items)
    mark = blake3()
    done: set[ContentId] = set()
    for digest in sorted({file.digest for item in listed for file in (item.keeper, item.victims[0].file)}):
        content = view.content_by_digest(digest)
        if content is None:
            _feed(mark, b"gone", digest)
        elif content.id not in done:
            group = groups.holding(content.id)
            contents = {content.id} if group is None else set(group.contents)
            _feed(mark, b"group", b"" if group is None else _shape(group))
            for one in sorted(contents):
                _feed_content(mark, view, one)
            done |= contents
    for item in listed:
        _feed(mark, b"pair", item.relation.encode(), _pair(view, item))
    return mark.digest()


def _shape(group: Group) -> bytes:
    members = sorted((m.content, m.relation.rank) for m in group.members)
    numbers = [group.keeper, *(n for member in members for n in member), *sorted(group.related)]
    return b"".join(map(_NUMBER.pack, numbers))


def _feed_content(mark: blake3, view: LibraryView, content: ContentId) -> None:
    record = view.content(content)
    digest = record.digest if record is not None else b""
    pin = view.pin(digest) if digest else None
    _feed(mark, b"content", digest, b"" if pin is None else b"pinned " + pin.path.relative())
    for file in sorted((f for f in view.files_of(content) if f.missing_since_ns is None), key=lambda f: f.path):
        _feed(mark, _NUMBER.pack(file.path.root), file.path.relative(), stat_key.pack(file.stat))


def _pair(view: LibraryView, item: PlanItem) -> bytes:
    """What is known of a pair now: its relation, or that there is none."""
    kept = view.content_by_digest(item.keeper.digest)
    gone = view.content_by_digest(item.victims[0].file.digest)
    if kept is None or gone is None:
        return b"gone"
    if kept.id == gone.id:
        return Relation.SAME_BYTES.encode()
    if view.verdict(kept.digest, gone.digest) is not None:
        return b"rejected"
    edge = view.edge(min(kept.id, gone.id), max(kept.id, gone.id))
    return b"" if edge is None else edge.relation.encode()


def _feed(mark: blake3, *parts: bytes) -> None:
    """Add parts so that no two lists of parts look the same."""
    for part in parts:
        mark.update(_NUMBER.pack(len(part)))
        mark.update(part)
