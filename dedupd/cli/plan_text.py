"""A plan as a person reads it: who stays, who would go, what is left alone, what to do next. Owns nothing."""

from __future__ import annotations

from dedupd.cli.printing import Output, duration_text, escaped, local_time
from dedupd.core.wording import bytes_text, count_text, percent_text
from dedupd.protocol.cleanup import PlanItemMessage, PlanMessage, VictimMessage

_DAY_S = 86_400
SHORT = 8  # digits of a plan's id that people type

# Action → what has happened to a file when it is done; what would happen to files.
DONE_WORDS = {
    "quarantine": "set aside",
    "hardlink": "replaced by hard links",
    "reflink": "now sharing their blocks",
    "move": "moved",
    "sort": "sorted",
    "trash": "moved into the trash",
}
_WOULD = {
    "quarantine": "would be set aside",
    "hardlink": "would become hard links of the kept ones",
    "reflink": "would share their blocks with the kept ones",
    "move": "would be moved",
    "sort": "would be sorted",
    "trash": "would be moved into the trash",
}

# Why a duplicate is left alone → what that means, and which option or setting changes it ("": nothing should).
LEFT_ALONE = {
    "protected": ("in a folder from which nothing is taken", "cleanup.protected"),
    "pinned": ("somebody said to keep it", "dedupctl keep --remove"),
    "no-verified-pair": ("never verified against the file that would stay", ""),
    "relation": ("a relation that the policy does not act on", "--relation, or relations of the policy"),
    "outside": ("not in the roots or folders that were asked for", "--root, --below"),
    "too-young": ("changed or first seen too short a time ago", "--min-age, cleanup.min_age_h"),
    "only-metadata": ("has metadata that the kept file lacks", ""),
    "only-video": ("has a video in it that the kept file lacks", ""),
    "companion": ("something belongs to it that the kept file lacks", 'companions = "carry" in the policy'),
    "hard-link": ("a hard link of a file that stays: frees nothing", ""),
    "in-use": ("stays or goes with another picture of the plan", "the next plan looks again"),
    "root-not-online": ("its root cannot be believed now", "dedupctl status says why"),
    "unsettled": ("still changing, missing, or not read yet", "the next plan looks again"),
    "files-per-run": ("limit of files in one run", "the next plan goes on; cleanup.files_per_run"),
    "bytes-per-run": ("limit of bytes in one run", "the next plan goes on; cleanup.gb_per_run"),
    "files-per-day": ("limit of files in a day", "tomorrow's plan goes on; cleanup.files_per_day"),
    "bytes-per-day": ("limit of bytes in a day", "tomorrow's plan goes on; cleanup.gb_per_day"),
    "root-share": ("limit of a root's files in one run", "the next plan goes on; cleanup.root_share"),
    "directory-share": ("limit of a directory's files in one run", "cleanup.directory_share"),
    "filesystem": ("the action cannot be done between these two places", "--action"),
}


def print_plan(plan: PlanMessage, output: Output, *, has_table: bool, lists_left_alone: bool) -> None:
    """All of a plan; `has_table` shows each file, `lists_left_alone` those too that stay as they are."""
    output.line(
        f"plan {escaped(plan.id[:SHORT])}: {escaped(plan.state)}, policy {escaped(plan.policy)}, "
        f"{escaped(plan.action)}, {escaped(', '.join(plan.relations))}"
    )
    if plan.keep:
        output.line(f"what is kept is decided by, in this order: {escaped(', '.join(plan.keep))}")
    if plan.items and has_table:
        output.line()
        output.table(["ITEM", "WHAT", "SIMILAR", "FREES", "FILE", "WHY"], _rows(plan), right=(0, 2, 3))
    output.line()
    _print_totals(plan, output)
    _print_left_alone(plan, output, lists_all=lists_left_alone)
    _print_next(plan, output)


def _rows(plan: PlanMessage) -> list[list[str]]:
    """Each kept file, below it what would go in its favour."""
    by_keeper: dict[str, list[PlanItemMessage]] = {}
    for item in plan.items:
        by_keeper.setdefault(f"{item.keeper.path}\0{item.keeper.digest}", []).append(item)
    rows: list[list[str]] = []
    for items in by_keeper.values():
        reasons = "; ".join(dict.fromkeys(item.keep_reason for item in items if item.keep_reason))
        rows.append(["", "keep", "", "", items[0].keeper.path, reasons])
        for item in items:
            rows += [_row(item, victim, is_first=place == 0) for place, victim in enumerate(item.victims)]
    return rows


def _row(item: PlanItemMessage, victim: VictimMessage, *, is_first: bool) -> list[str]:
    if is_first:
        return [
            str(item.number),
            item.relation,
            percent_text(item.similarity),
            bytes_text(item.frees_bytes),
            victim.path,
            item.reason,
        ]
    if victim.carried_to is not None:
        return ["", victim.role, "", "", victim.path, f"carried to {victim.carried_to.path}"]
    return ["", victim.role, "", "", victim.path, f"belongs to item {item.number}"]


def _print_totals(plan: PlanMessage, output: Output) -> None:
    if not plan.items:
        output.line("Nothing to do: no file would leave its place.")
        return
    keepers = len({(item.keeper.path, item.keeper.digest) for item in plan.items})
    files = count_text(plan.files, "file", "files")
    would = _WOULD.get(plan.action, "would go")
    folder = "" if plan.folder is None else escaped(plan.folder.path)
    into = f" into {folder}" if folder else ""
    kept = count_text(keepers, "file stays", "files stay")
    if plan.action == "sort":
        into = f" into {folder}/duplicates"
        kept = f"{count_text(keepers, 'kept file', 'kept files')} into {folder}/best"
    touched = " Nothing has been touched." if plan.state == "ready" else ""
    output.line(f"{files} {would}{into}; {kept}. {_frees(plan)}{touched}")


def _frees(plan: PlanMessage) -> str:
    frees = bytes_text(plan.frees_bytes)
    match plan.action:
        case "quarantine" | "hardlink":
            return f"That would free {frees} once the quarantine expires in {_days(plan.quarantine_s)}."
        case "trash":
            return f"That would free {frees} once the trash is emptied."
        case "move" | "sort":
            return f"Deleting that folder later would free {frees}." if plan.frees_bytes else "That frees nothing."
        case _:
            return f"That would free {frees}."


def _days(span_s: float) -> str:
    days = round(span_s / _DAY_S)
    return count_text(days, "day", "days") if days * _DAY_S == span_s else duration_text(span_s)


def _print_left_alone(plan: PlanMessage, output: Output, *, lists_all: bool) -> None:
    if not plan.left_alone:
        return
    output.line()
    more = "" if lists_all else " (--left-alone lists them)"
    output.line(f"Left alone: {count_text(len(plan.left_alone), 'duplicate', 'duplicates')}{more}")
    rows = []
    for why, files in plan.left_alone_counts.items():
        meaning, change = LEFT_ALONE.get(why, ("", ""))
        rows.append([f"{files:,}", why, meaning, change])
    output.table(["FILES", "REASON", "MEANS", "CHANGED BY"], rows, right=(0,))
    if lists_all:
        output.line()
        output.table(
            ["REASON", "SIZE", "FILE", "WHY"],
            [[file.why, bytes_text(file.size_bytes), file.path, file.detail] for file in plan.left_alone],
            right=(1,),
        )


def _print_next(plan: PlanMessage, output: Output) -> None:
    short = escaped(plan.id[:SHORT])
    match plan.state:
        case "ready" if plan.items:
            output.line()
            output.line(f"Next: dedupctl apply {short}   (until {local_time(plan.expires_at_ns)})")
        case "applied":
            output.line()
            output.line(f"It was applied. To take it back: dedupctl undo {short}")
        case "expired":
            output.line()
            output.line("It is too old to be applied. `dedupctl plan` draws a new one up.")
        case _:
            pass
