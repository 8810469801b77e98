"""What several commands need: the client of the arguments, files as a person names them. Owns nothing."""

from __future__ import annotations

import argparse
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, TypeVar

from dedupd.cli.printing import escaped, raw_path
from dedupd.client import Client
from dedupd.core.errors import AccessError, DedupdError, NotFoundError
from dedupd.protocol.requests import PictureName, PinRequest
from dedupd.protocol.status import RootMessage, StatusMessage
from dedupd.protocol.text import path_b64, path_text

if TYPE_CHECKING:
    from dedupd.client.cleaning import CleaningClient

NameT = TypeVar("NameT")
AnswerT = TypeVar("AnswerT")

_CONTENT = re.compile(r"content:([0-9]{1,15})")


class FileTroubleError(DedupdError):
    """A file of the person's cannot be read or written for another reason than permissions."""

    code = "io-error"
    exit_code = 74  # EX_IOERR


def client_of(args: argparse.Namespace) -> Client:
    """A client of the daemon that the arguments name."""
    return Client(args.socket)


def cleaning_client_of(args: argparse.Namespace) -> CleaningClient:
    """The same for commands that clean up."""
    from dedupd.client.cleaning import CleaningClient  # noqa: PLC0415 - the others start faster without

    return CleaningClient(args.socket)


@contextmanager
def told_by_name(name: str | bytes) -> Iterator[None]:
    """Turn the system's refusal of a file into an error that names it."""
    shown = escaped(os.fsdecode(name))
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"{shown}: there is no such file.") from error
    except PermissionError as error:
        raise AccessError(f"{shown}: no permission.") from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FileTroubleError(f"{shown}: {error.strerror or error}") from error


def open_regular(path: str | bytes, *, follow: bool) -> IO[bytes]:
    """Open a regular file for reading; a pipe or a device is refused instead of waited for."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    fd = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileTroubleError(f"{escaped(os.fsdecode(path))}: is no regular file.")
    return os.fdopen(fd, "rb")


def warn_if_incomplete(status: StatusMessage) -> None:
    """Say on standard error that "not found" may only mean "not read yet"."""
    if status.activity != "idle":
        print(
            f"dedupctl: the daemon is {escaped(status.activity)}: what it has not read yet counts as not there",
            file=sys.stderr,
        )


def absolute(name: str) -> str:
    """A path as it was written, from the root on: "." and ".." are gone, symlinks stay."""
    return os.path.abspath(name)  # noqa: PTH100 - Path.resolve() would resolve symlinks


def text_and_exact(path: bytes) -> tuple[str, str]:
    """A path as the two fields of a request: its text, and its bytes in base64 where the text cannot say them."""
    exact = path_b64(path)
    return path_text(path), exact if isinstance(exact, str) else ""


def picture_name(name: str, path: bytes) -> PictureName:
    """A picture of the library as a request names it."""
    if match := _CONTENT.fullmatch(name):
        return PictureName(content=int(match[1]))
    text, exact = text_and_exact(path)
    return PictureName(path=text, path_b64=exact)


def file_name(_name: str, path: bytes) -> PinRequest:
    """A file of the library as a request names it."""
    text, exact = text_and_exact(path)
    return PinRequest(path=text, path_b64=exact)


def named_in_library(
    names: Sequence[str], name_of: Callable[[str, bytes], NameT], ask: Callable[[list[NameT]], AnswerT]
) -> AnswerT:
    """The answer of the daemon, which looks paths up in its records: as they were written, then with links resolved."""
    written = [name_of(name, os.fsencode(absolute(name))) for name in names]
    resolved = [name_of(name, os.fsencode(os.path.realpath(name))) for name in names]
    try:
        return ask(written)
    except NotFoundError:
        if resolved == written:
            raise
    return ask(resolved)


def root_named(client: Client, name: str) -> RootMessage:
    """The root with this number or path."""
    wanted = {os.fsencode(absolute(name)), os.fsencode(os.path.realpath(name))}
    for root in client.roots().roots:
        if name == str(root.id) or raw_path(root) in wanted:
            return root
    raise NotFoundError(f"{escaped(name)} is no root.\n`dedupctl roots` lists them.")
