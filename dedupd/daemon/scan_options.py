"""Options of `dedupd scan` that say for one scan what the configuration says otherwise, and whether to clean up.

Runs nothing; imports nothing heavy.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import msgspec

from dedupd.core.errors import ConfigError
from dedupd.settings.schema import Settings

if TYPE_CHECKING:
    from dedupd.daemon.scan_clean_up import ScanCleanUp


def add_scan_options(scan: argparse.ArgumentParser) -> None:
    """Add them to the parser of `dedupd scan`."""
    _add_matching(scan.add_argument_group("matching"))
    _add_clean_up(scan.add_argument_group("cleaning up"))


def _add_matching(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--k", type=_positive, metavar="N", help="neighbours of a picture that are compared, at most")
    group.add_argument("--model", metavar="NAME", help="a vision model beside the built-in descriptor (docs/models.md)")
    group.add_argument(
        "--threshold", type=_share, metavar="COSINE", help="from which the model's neighbours are compared, 0 … 1"
    )
    group.add_argument("--batch-size", type=_positive, metavar="N", help="pictures at once on a device")
    group.add_argument("--gpus", type=_gpus, metavar="all|N|0,2", help="which GPUs; 0: none (default: all)")
    group.add_argument("--gpu-memory-fraction", type=_share, metavar="F", help="of each GPU's memory, 0 … 1")


def _add_clean_up(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--keep-policy",
        metavar="NAME",
        help="plan by it: best, lexi, smallest, largest, newest, oldest, or one of the configuration; touches nothing",
    )
    group.add_argument(
        "--min-age",
        type=_hours,
        metavar="HOURS",
        help="leave files alone that are younger (default: cleanup.min_age_h)",
    )
    group.add_argument("--apply", action="store_true", help="do the plan: set duplicates aside (undo: `dedupctl undo`)")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError("must be above 0 and at most 1")
    return number


def _hours(text: str) -> float:
    hours = float(text)
    if not 0 <= hours < 1e6:
        raise argparse.ArgumentTypeError("must be a number of hours, 0 or more")
    return hours


def _gpus(text: str) -> str | int | list[int]:
    if text == "all":
        return text
    numbers = [int(part) for part in text.split(",")]
    if any(number < 0 for number in numbers):
        raise argparse.ArgumentTypeError("must be all, a number, or numbers of GPUs with commas between them")
    return numbers if "," in text else numbers[0]


def settings_for_scan(arguments: argparse.Namespace, settings: Settings) -> Settings:
    """The configuration with what the command line says instead."""
    replace = msgspec.structs.replace
    models = settings.models
    if arguments.model is not None:
        models = replace(models, use=[] if arguments.model == "builtin" else [arguments.model])
    if arguments.threshold is not None:
        if not models.use:
            raise ConfigError(
                "--threshold is of a model's neighbours: name it with --model. What the built-in descriptor finds is "
                "always compared, and the pixels decide."
            )
        models = replace(models, thresholds={**models.thresholds, models.use[0]: arguments.threshold})
    given = {name: getattr(arguments, name) for name in ("batch_size", "gpus", "gpu_memory_fraction")}
    models = replace(models, **{name: value for name, value in given.items() if value is not None})
    match = settings.match
    if arguments.k is not None:
        match, models = replace(match, candidates=arguments.k), replace(models, candidates=arguments.k)
    return replace(settings, models=models, match=match)


def clean_up_asked(arguments: argparse.Namespace) -> ScanCleanUp | None:
    """What is to be planned after the scan; None: nothing."""
    if arguments.keep_policy is None and not arguments.apply:
        return None
    from dedupd.daemon.scan_clean_up import ScanCleanUp  # noqa: PLC0415 - without it, a scan needs nothing of this

    return ScanCleanUp(
        policy=arguments.keep_policy or "",
        min_age_s=None if arguments.min_age is None else arguments.min_age * 3600,
        is_applied=arguments.apply,
    )
