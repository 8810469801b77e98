"""`dedupctl find`: which pictures of the library these are."""

from __future__ import annotations

import argparse
import os

from dedupd.cli.asking import FileTroubleError, client_of, open_regular, told_by_name, warn_if_incomplete
from dedupd.cli.complaint import complain
from dedupd.cli.documents import FindDocument, FoundImage
from dedupd.cli.groups import picture_text
from dedupd.cli.printing import Output, escaped
from dedupd.client import Client
from dedupd.client.refusals import PictureRefusedError
from dedupd.core.errors import AccessError, DedupdError, NotFoundError
from dedupd.core.wording import likeness_text
from dedupd.protocol.failures import Failure
from dedupd.protocol.names import DUPLICATE_RELATIONS
from dedupd.protocol.pictures import FindMessage, MatchMessage
from dedupd.protocol.text import path_b64, path_text

# One bad picture must not keep the others from being asked about; a daemon that is gone ends it all.
_OF_ONE_FILE = (FileTroubleError, NotFoundError, AccessError, PictureRefusedError)


def run(args: argparse.Namespace, output: Output) -> int:
    """Ask for each picture; 0 all found, 1 some not, the worst error's code otherwise."""
    client = client_of(args)
    warn_if_incomplete(client.status())  # a lost daemon is told first, not as the first picture's fault
    images: list[FoundImage] = []
    error_code = 0
    for name in args.images:
        try:
            answer = _ask(client, name, is_strict=args.pixels)
        except _OF_ONE_FILE as error:
            error_code = max(error_code, complain(error))
            images.append(_failed(name, error))
            continue
        image = _found(name, answer)
        images.append(image)
        if not output.is_json:
            _print(name, image, answer, output)
    if output.is_json:
        output.document(FindDocument(images=tuple(images)))
    return error_code or int(not all(image.is_found for image in images))


def counts(match: MatchMessage) -> bool:
    """Whether a match says "you have this": a duplicate, and a file of it is there now."""
    return match.relation in DUPLICATE_RELATIONS and any(file.is_present for file in match.picture.files)


def _ask(client: Client, name: str, *, is_strict: bool) -> FindMessage:
    with told_by_name(name):
        picture = open_regular(name, follow=True)
    with picture:
        try:
            return client.find(picture, pixels=is_strict)
        except PictureRefusedError as error:
            raise PictureRefusedError(f"{escaped(name)}: {error}", error.problem_code) from error


def _found(name: str, answer: FindMessage) -> FoundImage:
    raw = os.fsencode(name)
    return FoundImage(
        path=path_text(raw),
        path_b64=path_b64(raw),
        is_found=any(map(counts, answer.matches)),
        answer=answer,
        error=None,
    )


def _failed(name: str, error: DedupdError) -> FoundImage:
    raw = os.fsencode(name)
    message, _, hint = str(error).partition("\n")
    failure = Failure(code=error.code, message=message, hint=hint)
    return FoundImage(path=path_text(raw), path_b64=path_b64(raw), is_found=False, answer=None, error=failure)


def _print(name: str, image: FoundImage, answer: FindMessage, output: Output) -> None:
    output.line(f"{escaped(name)}: {'found' if image.is_found else 'not found'}")
    for match in answer.matches:
        likeness = likeness_text(match.similarity, match.probability)
        output.line(f"  {escaped(match.relation)}, {likeness}: {picture_text(match.picture)}")
        for file in match.picture.files:
            output.line(f"    {escaped(file.path)}{'' if file.is_present else '  (not there now)'}")
