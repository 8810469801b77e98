"""Asks the hub for a model's files; the only place in dedupd that does, and only for `dedupd models pull`.

Says what there is at a commit and brings files from there. Keeps nothing, checks nothing, decides nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dedupd.core.errors import ConfigError, DedupdError

NO_EXTRA = "models need further packages. Install them with `pip install 'dedupd[models]'`."


class HubError(DedupdError):
    """The hub did not give what was asked of it. Apart, as the same command may do later; nothing was changed."""

    code = "hub"
    exit_code = 69  # EX_UNAVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """A file as the hub describes it."""

    name: str
    size_bytes: int
    sha256: str | None  # hex; the hub says it of large files


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a model has at one commit."""

    commit: str  # 40 hexadecimal digits
    files: tuple[HubFile, ...]


def list_files(name: str, revision: str) -> Listing:
    """What a model's repository holds at a branch, tag or commit.

    Raises:
        ConfigError: there is no such model or revision, or the extra packages are missing.
        HubError: the hub cannot be reached, or refuses.
    """
    with _errors_told(name, revision) as hub:
        found = hub.HfApi().model_info(name, revision=revision, files_metadata=True)
    if not found.sha:
        raise HubError(f"{name}: the hub does not say which commit {revision} is. Try again later.")
    files = tuple(
        HubFile(name=file.rfilename, size_bytes=file.size or 0, sha256=file.lfs.sha256 if file.lfs else None)
        for file in found.siblings or ()
    )
    return Listing(commit=found.sha, files=files)


def fetch_files(name: str, commit: str, files: Sequence[str], folder: Path) -> None:
    """Bring files of a commit into a folder; what a call before this one left there half is gone on with.

    Raises:
        ConfigError, HubError: as `list_files`.
    """
    with _errors_told(name, commit) as hub:
        hub.snapshot_download(name, revision=commit, allow_patterns=list(files), local_dir=folder)


@contextmanager
def _errors_told(name: str, revision: str) -> Iterator[Any]:
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # read once, when the library is imported
    try:
        import huggingface_hub as hub  # noqa: PLC0415 - an extra, and only this command needs it
        from huggingface_hub import errors  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(NO_EXTRA) from error
    try:
        yield hub
    except errors.GatedRepoError as error:
        raise ConfigError(
            f"{name}: its owner lets only those have it who accepted its terms. Accept them on the model's page, and "
            "set HF_TOKEN to a token of yours."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ConfigError(f"{name}: the hub has no such model, or it is private. Check the spelling.") from error
    except (errors.RevisionNotFoundError, errors.RevisionResolutionError) as error:
        raise ConfigError(f"{name} has no revision {revision}. Name a commit of it, or a branch.") from error
    except (errors.HTTPError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise HubError(f"{name} could not be fetched: {reason}. What has arrived is kept; try again.") from error
