"""The stable words of the wire, for the schema and the command line. Imports nothing: `dedupctl --help` starts fast.

They repeat core's enumerations (a test compares them), because core.records imports numpy and the client side must
start without it. Receivers keep words that they do not know, so a newer daemon can talk to an older client.
"""

from __future__ import annotations

RELATIONS = ("same-bytes", "same-pixels", "re-encoded", "edited", "similar", "different")  # the closest first
DUPLICATE_RELATIONS = RELATIONS[:4]
PIXEL_RELATIONS = RELATIONS[:2]  # what counts where a person asks for strict pixel identity
ACTIVITIES = ("starting", "scanning", "working", "idle", "stopping")
ROOT_STATES = ("online", "suspect", "offline")
WATCH_STATES = ("watching", "polling", "partial", "starting", "failed")
ORIGINS = ("arrival", "scan")
STANDINGS = ("same", "differs", "contradicts", "unknown")  # of two values side by side
ACTIONS = ("quarantine", "hardlink", "reflink", "move", "sort", "trash")  # what a plan does with a file that goes
ROLES = ("picture", "raw", "video", "sidecar")  # what a file is within its bundle
PLAN_STATES = ("ready", "expired", "applied", "undone")
RUNS = ("apply", "undo", "expire")
OUTCOMES = ("done", "conflict", "failed", "skipped", "restored-beside", "stranded")
SPARED = (  # why a duplicate is not in a plan
    "protected",
    "pinned",
    "no-verified-pair",
    "relation",
    "outside",
    "too-young",
    "only-metadata",
    "only-video",
    "companion",
    "hard-link",
    "in-use",
    "root-not-online",
    "unsettled",
    "files-per-run",
    "bytes-per-run",
    "files-per-day",
    "bytes-per-day",
    "root-share",
    "directory-share",
    "filesystem",
)
PROBLEM_CODES = (
    "not-an-image",
    "unsupported-format",
    "empty",
    "truncated",
    "damaged",
    "too-large",
    "too-many-pixels",
    "decoder-timeout",
    "decoder-died",
    "not-described",
    "no-permission",
    "io-error",
    "not-a-regular-file",
    "still-changing",
)
