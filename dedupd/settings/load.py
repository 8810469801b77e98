"""Read the configuration file and check what it names. Errors name the file, the key and the next step."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from dedupd.core.cleanup_policy import PolicyError
from dedupd.core.errors import ConfigError
from dedupd.settings.cleanup_policies import cleanup_policies
from dedupd.settings.further_models import check_models
from dedupd.settings.schema import Policy, Settings

SYSTEM_CONFIG = Path("/etc/dedupd/dedupd.toml")


def load_settings(path: Path | None) -> Settings:
    """The settings of a TOML file, or the defaults when there is none.

    Raises:
        ConfigError: unreadable, no TOML, an unknown key, a wrong type or range.
    """
    if path is None:
        return Settings()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"cannot read the configuration {path}: {reason}. Check the path and its permissions.") from (
            error
        )
    return parse_settings(text, str(path))


def parse_settings(text: str, name: str) -> Settings:
    """The settings in a TOML text; `name` is what errors call it."""
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # beside its own: a number of 5,000 digits, brackets 1,000 deep
        raise ConfigError(f"{name} is not valid TOML: {error}.") from error
    try:
        settings = msgspec.convert(tree, Settings)
        cleanup_policies(settings.cleanup)
        check_models(settings, name)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {_explain(str(error))}") from error
    except PolicyError as error:
        raise ConfigError(f"{name}: `{error.key}`: {error}") from error
    return settings


def find_config() -> Path | None:
    """The configuration to use when none is named: $DEDUPD_CONFIG, the user's, the system's, or none."""
    named = os.environ.get("DEDUPD_CONFIG")
    if named:
        return Path(named)
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    for path in (home / "dedupd" / "dedupd.toml", SYSTEM_CONFIG):
        if path.is_file():
            return path
    return None


def resolve_roots(named: Sequence[str], *, may_be_missing: bool = False) -> list[Path]:
    """The directories to watch, absolute, symlinks resolved once, each given once.

    Args:
        named: as in the configuration or on the command line.
        may_be_missing: let a directory pass that is not there: the disk of a known root may not be mounted yet.

    Raises:
        ConfigError: one does not exist, is no directory, or lies within another.
    """
    roots: list[Path] = []
    for text in named:
        path = Path(text).expanduser()
        try:
            real = path.resolve(strict=not may_be_missing)
        except OSError as error:
            raise ConfigError(
                f"the folder {path} cannot be watched: {error.strerror}. Check the spelling, or mount the disk first."
            ) from error
        if not real.is_dir() and (real.exists() or not may_be_missing):
            raise ConfigError(f"{path} is not a folder. Name the folder that holds your photos.")
        if real not in roots:
            roots.append(real)
    refuse_nested(roots)
    return roots


def refuse_nested(roots: Iterable[Path]) -> None:
    """Refuse roots within roots: a file must have one path only, or it would be its own duplicate."""
    ordered = sorted(roots)
    for outer in ordered:
        for inner in ordered:
            if inner != outer and inner.is_relative_to(outer):
                raise ConfigError(
                    f"the folder {inner} lies within {outer}, which is watched too. Remove {inner} from the list: "
                    f"{outer} includes it."
                )


def _explain(message: str) -> str:
    """Msgspec's words with the key's path first, and the nearest known key for a misspelt one."""
    where = ""
    found = re.search(r" - at `\$\.?(.*?)`$", message)
    if found:
        where, message = found.group(1), message[: found.start()]
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", message)
    if unknown is None:
        return f"`{where}`: {message[0].lower()}{message[1:]}." if where else f"{message}."
    key = unknown.group(1)
    known = _keys_of(where)
    near = difflib.get_close_matches(key, known, n=1)
    advice = f"Did you mean `{near[0]}`?" if near else f"Known keys: {', '.join(known)}."
    return f"unknown key `{where + '.' if where else ''}{key}`. {advice}"


def _keys_of(section: str) -> list[str]:
    if section.startswith("cleanup.policies"):
        return [f.name for f in msgspec.structs.fields(Policy)]
    for field in msgspec.structs.fields(Settings):
        if field.name == section:
            return [f.name for f in msgspec.structs.fields(field.type)]
    return [f.name for f in msgspec.structs.fields(Settings)]
