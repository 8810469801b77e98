"""The models on this machine: fetch one at a commit, list them, check that they are what was fetched.

Owns the models directory (`model_manifest` says how it is laid out). A model is there whole or not at all: its files
get their final place only when all have arrived and their checksums are recorded. Used by `dedupd models` alone; the
daemon reads, by `model_folder`.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dedupd.core.errors import AccessError, AlreadyRunningError, ConfigError, DedupdError
from dedupd.embedding import hub, torchscript_file
from dedupd.embedding.checksums import sha256
from dedupd.embedding.model_folder import CONFIG, family_in, inspect_model
from dedupd.embedding.model_manifest import (
    COMMIT,
    FORMAT,
    Manifest,
    RecordedFile,
    folder_of,
    home_of,
    is_hub_name,
    read_manifest,
    recorded_names,
    write_manifest,
)
from dedupd.embedding.model_spec import ModelSpec
from dedupd.embedding.processor_config import FILES as PROCESSOR_FILES
from dedupd.embedding.weights import INDEX, SINGLE

_BRANCH = "main"
_PART = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_UNFINISHED = ".fetching-"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModel:
    """One model that was fetched."""

    manifest: Manifest
    size_bytes: int
    spec: ModelSpec | None  # None: it cannot be used
    problem: str = ""  # then why, a sentence


def pull(name: str, revision: str | None, models_dir: Path, say: Callable[[str], None]) -> StoredModel:
    """Fetch a model at a commit and record what came; a model that is there already is only checked.

    The revision that it replaces is kept, for a daemon that still runs with it; older ones go.

    Args:
        name: OWNER/NAME on the hub.
        revision: a commit, a branch or a tag; None: the main branch. What it is now is recorded.
        models_dir: where models lie.
        say: told what is going on, a line at a time.

    Raises:
        ConfigError: no such model or revision, an architecture that dedupd does not know, or only pickled weights.
        HubError: the hub cannot be reached, or sent something else than it said.
        AlreadyRunningError: another process is fetching this model.
        AccessError: the models directory cannot be written.
    """
    if not is_hub_name(name):
        raise ConfigError(f"{name!r} is no name of a model on the hub. Write OWNER/NAME; a folder needs no fetching.")
    home = home_of(name, models_dir)
    with _writing(home), _alone(home, name):
        asked = revision or _BRANCH
        listing = hub.list_files(name, asked)
        if not COMMIT.fullmatch(listing.commit):
            raise hub.HubError(
                f"{name}: the hub calls {asked} {listing.commit!r}, which is no commit. Try again later."
            )
        say(f"{name}: {asked} is commit {listing.commit}" if asked != listing.commit else f"{name}: commit {asked}")
        manifest = _present(name, asked, listing, models_dir) or _fetch(name, asked, listing, home, say)
        before = _known(name, models_dir)
        write_manifest(manifest, models_dir)
        _forget_older(home, {manifest.revision, before.revision if before else ""})
    return describe(manifest, models_dir)


def stored_models(models_dir: Path) -> Iterator[StoredModel | ConfigError]:
    """The models that were fetched, by name; an error for a record that cannot be read."""
    for name in recorded_names(models_dir):
        try:
            manifest = read_manifest(name, models_dir)
        except ConfigError as error:
            yield error
        else:
            if manifest is not None:
                yield describe(manifest, models_dir)


def describe(manifest: Manifest, models_dir: Path) -> StoredModel:
    """What a fetched model is, or why it cannot be used."""
    size = sum(file.size_bytes for file in manifest.files)
    try:
        return StoredModel(manifest=manifest, size_bytes=size, spec=inspect_model(manifest.name, models_dir))
    except DedupdError as error:
        return StoredModel(manifest=manifest, size_bytes=size, spec=None, problem=str(error))


def changed_files(manifest: Manifest, models_dir: Path) -> list[str]:
    """What is not as it was fetched, a sentence each; reads every byte."""
    folder = folder_of(manifest, models_dir)
    changed = []
    for file in manifest.files:
        path = folder / file.name
        try:
            if sha256(path) != file.sha256:
                changed.append(f"{path} is not what was fetched")
        except OSError as error:
            changed.append(f"{path} cannot be read: {error.strerror}")
    return changed


def add_torchscript(path: Path, input_px: int) -> torchscript_file.Record:
    """Record a TorchScript file that a person trusts, beside it; runs the file's code to learn its length.

    Raises:
        ConfigError: it is no such file, or does not do what is needed.
        AccessError: the record cannot be written.
    """
    if not torchscript_file.is_name_of_one(path) or not path.is_file():
        kinds = ", ".join(torchscript_file.SUFFIXES)
        raise ConfigError(f"{path} is no TorchScript file: one exists and ends in {kinds}.")
    try:
        from dedupd.embedding.torchscript import measure_dim  # noqa: PLC0415 - torch, for this command alone
    except ImportError as error:
        raise ConfigError(hub.NO_EXTRA) from error
    digest = sha256(path)
    dim = measure_dim(path, input_px)
    record = torchscript_file.Record(sha256=digest, dim=dim, input_px=input_px)
    with _writing(path.parent):
        beside = torchscript_file.record_of(path)
        temporary = beside.with_name(f".{beside.name}.{os.getpid()}")
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
        temporary.replace(beside)
    return record


def _fetch(name: str, asked: str, listing: hub.Listing, home: Path, say: Callable[[str], None]) -> Manifest:
    """Bring what is needed; the small files first, as they say whether the large ones are worth it."""
    unfinished = home / f"{_UNFINISHED}{listing.commit}"
    small, large = _needed(name, listing)
    hub.fetch_files(name, listing.commit, [file.name for file in small], unfinished)
    config = unfinished / CONFIG
    family = family_in(config.read_bytes(), None, f"{name}: {CONFIG}")
    size_mb = sum(file.size_bytes for file in large) / 1e6
    say(f"{name}: a {family.model_type} model, {size_mb:,.0f} MB of weights")
    hub.fetch_files(name, listing.commit, [file.name for file in large], unfinished)
    files = tuple(_recorded(unfinished / file.name, file) for file in (*small, *large))
    shutil.rmtree(unfinished / ".cache", ignore_errors=True)  # the library's notes
    folder = home / listing.commit
    if folder.exists():
        shutil.rmtree(folder)  # not what was recorded, or never recorded
    _sync(unfinished)
    unfinished.rename(folder)
    return Manifest(format=FORMAT, name=name, revision=listing.commit, asked_for=asked, files=files)


def _needed(name: str, listing: hub.Listing) -> tuple[list[hub.HubFile], list[hub.HubFile]]:
    """The files that make up a model: what describes it, and its weights."""
    there = {file.name: file for file in listing.files}
    if CONFIG not in there:
        raise ConfigError(f"{name} has no {CONFIG} at {listing.commit}: transformers cannot load it, nor can dedupd.")
    small = [there[file] for file in (CONFIG, *PROCESSOR_FILES) if file in there]
    if SINGLE in there:
        return small, [there[SINGLE]]
    if INDEX in there:
        return [*small, there[INDEX]], [file for file in listing.files if _PART.fullmatch(file.name)]
    raise ConfigError(
        f"{name} has no {SINGLE} at {listing.commit}, at most pickled weights, which can run any code. Name another "
        "revision with --revision: often a pull request on the model's page has brought safetensors."
    )


def _recorded(path: Path, said: hub.HubFile) -> RecordedFile:
    digest = sha256(path)
    if said.sha256 is not None and digest != said.sha256:
        path.unlink()
        raise hub.HubError(f"{said.name} arrived damaged: its checksum is not the hub's. Run the command again.")
    return RecordedFile(name=said.name, sha256=digest, size_bytes=path.stat().st_size)


def _present(name: str, asked: str, listing: hub.Listing, models_dir: Path) -> Manifest | None:
    """The record of this commit if it is there already, unchanged."""
    known = _known(name, models_dir)
    if known is None or known.revision != listing.commit or changed_files(known, models_dir):
        return None
    return Manifest(format=FORMAT, name=name, revision=known.revision, asked_for=asked, files=known.files)


def _known(name: str, models_dir: Path) -> Manifest | None:
    """What is recorded; a record that cannot be read is as good as none, for it is written anew."""
    try:
        return read_manifest(name, models_dir)
    except ConfigError:
        return None


def _forget_older(home: Path, kept: set[str]) -> None:
    for path in home.iterdir():
        name = path.name.removeprefix(_UNFINISHED)
        if path.is_dir() and COMMIT.fullmatch(name) and (path.name.startswith(_UNFINISHED) or name not in kept):
            shutil.rmtree(path, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Put a folder's files on the disk before they get their name."""
    for path in (*folder.iterdir(), folder):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AccessError(f"{folder} cannot be written: {error.strerror}. Check its permissions and space.") from error


@contextmanager
def _alone(home: Path, name: str) -> Iterator[None]:
    """Only one process fetches a model at a time; a killed one gives its place back."""
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    fd = os.open(home / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise AlreadyRunningError(f"{name} is being fetched by another process. Wait for it.") from error
    finally:
        os.close(fd)
