"""`dedupctl groups` and `dedupctl show`: groups of duplicates."""

from __future__ import annotations

import argparse

from dedupd.cli.asking import client_of
from dedupd.cli.printing import Output, escaped
from dedupd.core.wording import bytes_text, count_text, likeness_text, percent_text, probability_text
from dedupd.protocol.pictures import GroupMessage, GroupsMessage, PictureMessage

_PAGE = 1000  # the API's limit


def run(args: argparse.Namespace, output: Output) -> int:
    """Ask and print."""
    if args.command == "show":
        group = client_of(args).group(args.group)
        if output.is_json:
            output.document(group)
        else:
            print_group(group, output)
        return 0
    page = _collect(args)
    if output.is_json:
        output.document(page)
    else:
        _print_groups(page, output)
    return 0


def _collect(args: argparse.Namespace) -> GroupsMessage:
    """As many groups as were asked for, in one document."""
    client = client_of(args)
    groups: list[GroupMessage] = []
    after: int | None = args.after
    total = 0
    while after is not None and len(groups) < args.limit:
        page = client.groups(limit=min(_PAGE, args.limit - len(groups)), after=after, relation=args.relation)
        groups += page.groups
        after, total = page.next, page.total
    return GroupsMessage(groups=tuple(groups), total=total, next=after)


def _print_groups(page: GroupsMessage, output: Output) -> None:
    rows = [
        [
            str(group.id),
            group.relation,
            percent_text(group.similarity),
            probability_text(group.probability),
            str(group.files),
            bytes_text(group.frees_bytes),
            group.keeper.files[0].path if group.keeper.files else f"content:{group.keeper.content}",
        ]
        for group in page.groups
    ]
    if rows:
        output.table(
            ["GROUP", "RELATION", "SIMILAR", "ONE SHOT", "FILES", "FREES", "KEEP"], rows, right=(0, 2, 3, 4, 5)
        )
        output.line()
    more = f", {len(rows):,} shown; go on with --after {page.next}" if page.next is not None else ""
    output.line(f"{count_text(page.total, 'group', 'groups')}{more}.")


def print_group(group: GroupMessage, output: Output) -> None:
    """One group with all its files."""
    output.line(
        f"group {group.id}: {escaped(group.relation)}, {likeness_text(group.similarity, group.probability)}, "
        f"removing all but the kept file would free {bytes_text(group.frees_bytes)}"
    )
    output.line()
    output.line(f"keep: {escaped(group.keeper_reason)}")
    print_picture(group.keeper, output)
    for member in group.members:
        likeness = likeness_text(member.similarity, member.probability)
        output.line(f"{escaped(member.relation)}, {likeness}: {escaped(member.reason)}")
        print_picture(member.picture, output)
    for picture in group.related:
        output.line("related: not verified against the kept picture, never for clean-up")
        print_picture(picture, output)


def print_picture(picture: PictureMessage, output: Output) -> None:
    """A content in one line, its files below."""
    output.line(f"  {picture_text(picture)}")
    for file in picture.files:
        output.line(f"    {escaped(file.path)}{'' if file.is_present else '  (not there now)'}")


def picture_text(picture: PictureMessage) -> str:
    """A content in a few words."""
    parts = [
        f"content:{picture.content}",
        f"{picture.format} {picture.width}×{picture.height}",
        bytes_text(picture.size_bytes),
        *([f"taken {picture.taken_at}"] if picture.taken_at else []),
        *([picture.camera] if picture.camera else []),
    ]
    return escaped(", ".join(parts))
