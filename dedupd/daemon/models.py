"""`dedupd models`: fetch a vision model, show what is there, check it. Prints; the models directory is embedding's.

Needs no daemon and no state; `pull` is the only command of dedupd that goes to the network for a model.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from dedupd.core.errors import ConfigError
from dedupd.core.wording import bytes_text, count_text
from dedupd.embedding.model_store import StoredModel, add_torchscript, changed_files, pull, stored_models
from dedupd.embedding.torchscript_file import DEFAULT_INPUT_PX

_DAMAGED = 65  # EX_DATAERR, as for the store
_SHORT = 12  # digits of a commit that people are shown in a table


def run_models(arguments: argparse.Namespace, models_dir: Path) -> int:
    """Run one of the commands; returns the exit code."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    match arguments.models_command:
        case "pull":
            return _pull(console, arguments, models_dir)
        case "list":
            return _list(console, models_dir, as_json=arguments.json)
        case "check":
            return _check(console, arguments.names, models_dir)
        case _:
            return _add(console, arguments)


def _pull(console: Console, arguments: argparse.Namespace, models_dir: Path) -> int:
    model = pull(arguments.name, arguments.revision, models_dir, console.print)
    if model.spec is None:
        raise ConfigError(model.problem)
    name = model.manifest.name
    console.print(
        f"{name}: {len(model.manifest.files)} files, {bytes_text(model.size_bytes)}, checksums recorded; "
        f"{model.spec.dim} numbers a picture, tag {model.spec.tag}"
    )
    console.print(f'To use it, write into the configuration:\n\n[models]\nuse = ["{name}"]')
    return 0


def _list(console: Console, models_dir: Path, *, as_json: bool) -> int:
    found = list(stored_models(models_dir))
    models = [model for model in found if isinstance(model, StoredModel)]
    if as_json:
        console.print(msgspec.json.encode([_message(model) for model in models]).decode())
    elif not models:
        console.print(f"No models in {models_dir}. `dedupd models pull OWNER/NAME` fetches one.")
    else:
        rows = [("NAME", "COMMIT", "SIZE", "NUMBERS", "FAMILY")]
        rows += [_row(model) for model in models]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            console.print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    problems = [str(model) for model in found if isinstance(model, ConfigError)]
    problems += [model.problem for model in models if model.spec is None]
    for problem in problems:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"dedupd: {problem}")
    return _DAMAGED if problems else 0


def _check(console: Console, names: list[str], models_dir: Path) -> int:
    found = list(stored_models(models_dir))
    models = {model.manifest.name: model for model in found if isinstance(model, StoredModel)}
    for name in names:
        if name not in models:
            raise ConfigError(f"the model {name} was never fetched. `dedupd models list` shows those that are there.")
    wrong = [str(model) for model in found if isinstance(model, ConfigError)] if not names else []
    for name in names or models:
        model = models[name]
        changed = changed_files(model.manifest, models_dir)
        files = count_text(len(model.manifest.files), "file", "files")
        console.print(f"{name}: {files}, {len(changed)} changed" if changed else f"{name}: {files} as fetched")
        if changed:
            wrong += changed
            wrong.append(f"`dedupd models pull {name} --revision {model.manifest.revision}` fetches it again")
    for line in wrong:
        console.print(f"  {line}")
    return _DAMAGED if wrong else 0


def _add(console: Console, arguments: argparse.Namespace) -> int:
    path: Path = arguments.file.expanduser().resolve()
    record = add_torchscript(path, arguments.input_px or DEFAULT_INPUT_PX)
    console.print(f"{path}: recorded, {record.dim} numbers a picture of {record.input_px} px, SHA-256 {record.sha256}")
    console.print(f'To use it, write into the configuration:\n\n[models]\nuse = ["{path}"]')
    return 0


def _row(model: StoredModel) -> tuple[str, str, str, str, str]:
    spec = model.spec
    return (
        model.manifest.name,
        model.manifest.revision[:_SHORT],
        bytes_text(model.size_bytes),
        str(spec.dim) if spec else "-",
        spec.family if spec else "cannot be used",
    )


def _message(model: StoredModel) -> dict[str, Any]:
    spec = model.spec
    return {
        "name": model.manifest.name,
        "revision": model.manifest.revision,
        "size_bytes": model.size_bytes,
        "dim": spec.dim if spec else None,
        "family": spec.family if spec else None,
        "tag": spec.tag if spec else None,
        "candidate_similarity": spec.candidate_similarity if spec else None,
        "problem": model.problem,
    }
