"""Drafts the report: which file of each group stays, which ones are beside it, and what removing them would free.

Reads the library in short views and owns nothing. It decides no group and no keeper content (core.grouping does),
writes no format (write_*.py do), and never opens a photo.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from dedupd.core.grouping import Group, Member, Share
from dedupd.core.ports import GroupListing, Groups, Library, LibraryView
from dedupd.core.records import ContentId, ContentRecord, Edge, FileRecord, Relation, RootId
from dedupd.core.report import Report, ReportFile, ReportGroup

SAME_BYTES_REASON = "the same bytes"
HARD_LINK_REASON = "the same bytes: a hard link of a file that stays, it takes no space of its own"
CHAINED_REASON = "resembles a copy in this group, but was not verified against the kept picture"
KEEPER_MISSING_REASON = "the best that is there: the file of the picture that was preferred is missing"

_FIRST_LOOK, _A_LOOK = 5, 50  # groups within one view of the library, which must be short; often a few are enough

_Inode = tuple[int, int]
_Likeness = tuple[float, float]  # similarity, probability
_SURE = (1.0, 1.0)


def draft_report(
    library: Library,
    groups: Groups,
    *,
    relations: frozenset[Relation],
    keep_policy: str,
    now_ns: int,
    roots: frozenset[RootId] | None = None,
) -> Report:
    """Draft the report over all groups that these relations make, those that free the most bytes first.

    The totals are those of this moment. The groups are drafted some at a time when they are gone through: those that
    went meanwhile are left out, as are files that are missing.

    Args:
        library: looked at now, and for each few groups once.
        groups: the groups as they are now.
        relations: which relations count as duplicates here.
        keep_policy: the policy's name, for the reader.
        now_ns: CLOCK_REALTIME.
        roots: only groups with a file in these; None: all. All groups are drafted for the totals, then once more.
    """
    with library.view() as view:
        counts = view.counts()
        known = {root.id: root.path for root in view.roots()}
    listing = groups.all(relations)
    drafted = DraftedGroups(library, listing, relations, roots)
    is_whole = roots is None or roots >= known.keys()
    return Report(
        generated_at_ns=now_ns,
        total_images=max(0, counts.files - counts.files_pending - counts.files_set_aside - counts.files_missing),
        total_contents=counts.contents,
        duplicate_groups=len(listing) if is_whole else sum(1 for _ in drafted),
        shares=tuple(listing.shares) if is_whole else _shares_of(drafted),
        keep_policy=keep_policy,
        relations=tuple(sorted(relations, key=lambda r: r.rank)),
        roots=tuple(known.values()),
        problems=counts.files_set_aside,
        pending=counts.files_pending + counts.contents_unlinked,
        groups=drafted,
    )


def _shares_of(groups: Iterable[ReportGroup]) -> tuple[Share, ...]:
    files: Counter[Relation] = Counter()
    freed: Counter[Relation] = Counter()
    for file in (file for group in groups for file in group.duplicates):
        relation = file.relation or Relation.SAME_BYTES
        files[relation] += 1
        freed[relation] += file.frees_bytes
    kinds = sorted(files, key=lambda relation: relation.rank)
    return tuple(Share(relation=kind, files=files[kind], frees_bytes=freed[kind]) for kind in kinds)


class DraftedGroups:
    """Drafts the groups of a listing while they are gone through; each round drafts them anew."""

    def __init__(
        self,
        library: Library,
        listing: GroupListing,
        relations: frozenset[Relation],
        roots: frozenset[RootId] | None = None,
    ) -> None:
        """Over a library and what it groups; `roots`: only groups with a file in these."""
        self._library = library
        self._listing = listing
        self._relations = relations
        self._roots = roots

    def __iter__(self) -> Iterator[ReportGroup]:
        groups, look = iter(self._listing), _FIRST_LOOK
        while some := list(islice(groups, look)):
            look = min(2 * look, _A_LOOK)
            with self._library.view() as view:
                draft = _Draft(view, self._relations)
                told = [draft.group(group) for group in some]
            yield from (group for group in told if group is not None and self._is_wanted(group))

    def _is_wanted(self, group: ReportGroup) -> bool:
        roots = self._roots
        return roots is None or any(file.file.root in roots for file in (group.keep, *group.duplicates))


class _Draft:
    """One look at some groups: the view and what is looked up once. Owned by who goes through `DraftedGroups`."""

    def __init__(self, view: LibraryView, relations: frozenset[Relation]) -> None:
        self._view = view
        self._relations = relations
        self.root_paths: dict[RootId, bytes] = {root.id: root.path for root in view.roots()}
        self._files: dict[ContentId, list[FileRecord]] = {}  # of the group in hand
        self._contents: dict[ContentId, ContentRecord] = {}  # the same

    def group(self, group: Group) -> ReportGroup | None:
        """The group as it stands on disk; None when fewer than two of its files are there."""
        self._files.clear()
        self._contents.clear()
        standing = self._standing(group)
        if standing is None:
            return None
        kept, *twins = self._present(standing.keeper)
        keep = self._told(kept, None, _SURE, standing.keeper_reason, frees_bytes=0)
        related = tuple(self._related(standing))
        staying: set[_Inode] = {_inode(kept), *(_inode(f) for f in self._first_files(standing.related))}
        duplicates = tuple(self._duplicates(standing, twins, staying))
        if not duplicates:
            return None
        weakest = max(duplicates, key=lambda f: (_rank(f), -f.similarity))
        return ReportGroup(
            id=group.id,
            relation=weakest.relation or Relation.SAME_BYTES,
            similarity=weakest.similarity,
            probability=weakest.probability,
            keep=keep,
            duplicates=duplicates,
            related=related,
            frees_bytes=sum(f.frees_bytes for f in duplicates),
        )

    def _duplicates(self, group: Group, twins: Iterable[FileRecord], staying: set[_Inode]) -> Iterator[ReportFile]:
        """The files beside the kept one, the closest first; each inode's bytes are counted once."""
        counted = set(staying)

        def told(file: FileRecord, relation: Relation, likeness: _Likeness, reason: str) -> ReportFile:
            inode = _inode(file)
            frees = 0 if inode in counted else file.stat.size_bytes
            counted.add(inode)
            return self._told(file, relation, likeness, reason, frees_bytes=frees)

        if Relation.SAME_BYTES in self._relations:
            for file in twins:
                reason = HARD_LINK_REASON if _inode(file) in staying else SAME_BYTES_REASON
                yield told(file, Relation.SAME_BYTES, _SURE, reason)
        for member in group.members:
            for file in self._present(member.content):
                yield told(file, member.relation, (member.similarity, member.probability), member.reason)

    def _related(self, group: Group) -> Iterator[ReportFile]:
        for file in self._first_files(group.related):
            assert file.content is not None  # files_of found it by its content
            edge = self._edge(group.keeper, file.content)
            relation = edge.relation if edge else None
            likeness = (edge.similarity, edge.probability) if edge else (0.0, 0.0)
            yield self._told(file, relation, likeness, CHAINED_REASON, frees_bytes=0)

    def _first_files(self, contents: Iterable[ContentId]) -> Iterator[FileRecord]:
        for content in contents:
            yield from self._present(content)[:1]

    def _standing(self, group: Group) -> Group | None:
        """The group with a keeper that is there.

        When every file of the keeper is missing, the closest member that is there takes its place; of the others only
        those verified directly against it stay members, because pairs do not chain.
        """
        if self._present(group.keeper):
            return group
        there = [m.content for m in group.members if self._present(m.content)]
        if not there:
            return None
        keeper, *others = there
        edges = [(other, self._edge(keeper, other)) for other in others]
        members = [
            Member(
                content=other,
                relation=edge.relation,
                similarity=edge.similarity,
                reason=edge.reason,
                probability=edge.probability,
            )
            for other, edge in edges
            if edge is not None and edge.relation in self._relations
        ]
        members.sort(key=lambda m: (m.relation.rank, -m.similarity, m.content))
        tied = {m.content for m in members}
        return Group(
            id=group.id,
            keeper=keeper,
            keeper_reason=KEEPER_MISSING_REASON,
            members=tuple(members),
            related=(*(other for other in others if other not in tied), *group.related),
        )

    def _edge(self, one: ContentId, other: ContentId) -> Edge | None:
        return self._view.edge(min(one, other), max(one, other))

    def _present(self, content: ContentId) -> list[FileRecord]:
        """The content's files that are there, the best to keep first: no hard link, shorter path, path."""
        files = self._files.get(content)
        if files is None:
            there = (f for f in self._view.files_of(content) if f.missing_since_ns is None)
            files = sorted((f for f in there if f.path.root in self.root_paths), key=self._preference)
            self._files[content] = files
        return files

    def _preference(self, file: FileRecord) -> tuple[bool, int, bytes]:
        path = self._absolute(file)
        return file.link_of_same_inode, len(path), path

    def _absolute(self, file: FileRecord) -> bytes:
        return self.root_paths[file.path.root].rstrip(b"/") + b"/" + file.path.relative()

    def _content(self, content: ContentId) -> ContentRecord:
        record = self._contents.get(content) or self._view.content(content)
        assert record is not None  # the same view holds the file that names it
        self._contents[content] = record
        return record

    def _told(
        self, file: FileRecord, relation: Relation | None, likeness: _Likeness, reason: str, *, frees_bytes: int
    ) -> ReportFile:
        assert file.content is not None  # files_of found it by its content
        content = self._content(file.content)
        return ReportFile(
            path=self._absolute(file),
            file=file.path,
            content=content.id,
            size_bytes=file.stat.size_bytes,
            width_px=content.width_px,
            height_px=content.height_px,
            format=content.format,
            mtime_ns=file.stat.mtime_ns,
            taken_at_ms=content.capture.taken_at_ms,
            relation=relation,
            similarity=likeness[0],
            probability=likeness[1],
            reason=reason,
            frees_bytes=frees_bytes,
        )


def _inode(file: FileRecord) -> _Inode:
    return file.stat.dev, file.stat.ino


def _rank(file: ReportFile) -> int:
    return file.relation.rank if file.relation is not None else 0
