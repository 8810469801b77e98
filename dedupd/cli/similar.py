"""`dedupctl similar`: other pictures of this, by a model's word."""

from __future__ import annotations

import argparse
import re

from dedupd.cli.asking import client_of, open_regular, told_by_name
from dedupd.cli.groups import print_picture
from dedupd.cli.printing import Output, escaped
from dedupd.client.refusals import PictureRefusedError
from dedupd.core.wording import count_text
from dedupd.protocol.names import DUPLICATE_RELATIONS
from dedupd.protocol.pictures import NearMessage, SimilarMessage

_CONTENT = re.compile(r"content:([0-9]{1,15})")
_BUILT_IN = "builtin"


def run(args: argparse.Namespace, output: Output) -> int:
    """Ask and print."""
    answer = _ask(args)
    if output.is_json:
        output.document(answer)
        return 0
    looked = "in meaning"
    if answer.name == _BUILT_IN:
        looked = "in looks" if args.model else "in looks, as no vision model is ready"
    pictures = count_text(len(answer.near), "picture", "pictures")
    output.line(f"{pictures} near {escaped(args.image)}, {looked}, by {escaped(answer.name)}")
    for near in answer.near:
        output.line(f"{near.similarity:.3f}{_mark(near)}")
        print_picture(near.picture, output)
    return 0


def _ask(args: argparse.Namespace) -> SimilarMessage:
    client = client_of(args)
    if match := _CONTENT.fullmatch(args.image):
        return client.similar(int(match[1]), limit=args.limit, model=args.model)
    with told_by_name(args.image):
        picture = open_regular(args.image, follow=True)
    with picture:
        try:
            return client.similar_to(picture, limit=args.limit, model=args.model)
        except PictureRefusedError as error:
            raise PictureRefusedError(f"{escaped(args.image)}: {error}", error.problem_code) from error


def _mark(near: NearMessage) -> str:
    """What is known of it beside its nearness."""
    marks = []
    if near.relation is not None:
        marks.append(f"a duplicate: {near.relation}" if near.relation in DUPLICATE_RELATIONS else near.relation)
    if near.group is not None:
        marks.append(f"group {near.group}")
    return f"  {escaped(', '.join(marks))}" if marks else ""
