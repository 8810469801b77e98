"""The `dedupd` command: run the daemon, scan once, check the store. Turns every expected error into one clear line."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec

from dedupd import __version__
from dedupd.core.errors import ConfigError, DedupdError
from dedupd.daemon.log import set_up_logging
from dedupd.daemon.models_options import EPILOG as MODELS_EPILOG
from dedupd.daemon.models_options import add_models_commands
from dedupd.daemon.scan_options import add_scan_options, clean_up_asked, settings_for_scan
from dedupd.imaging.spawn import Spawned, spawn, worker_count
from dedupd.protocol.paths import socket_path_for, state_dir_for
from dedupd.settings.further_models import models_directory
from dedupd.settings.load import find_config, load_settings, resolve_roots
from dedupd.settings.schema import Settings

if TYPE_CHECKING:
    from dedupd.store.check import CheckReport

_STORE_DAMAGED = 65
_USAGE = 64  # EX_USAGE

_EPILOG = """\
examples:
  dedupd scan ~/Pictures --report duplicates.html   find duplicates once, with a page to look at
  dedupd scan ~/Pictures --keep-policy best         … and show what a clean-up would set aside; --apply does it
  dedupd run ~/Pictures                             keep watching; ask with `dedupctl status`
  dedupd run --config /etc/dedupd/dedupd.toml       the same for a server
  dedupd check                                      verify every record of the store
  dedupd backup /backup/dedupd.tar                  keep what cannot be derived again; `dedupd restore` takes it back
  dedupd models pull google/siglip2-base-patch16-naflex   fetch a vision model; `dedupd models list` shows them

exit codes: 0 done, 1 error, 64 wrong use, 65 store or model damaged, 69 hub unreachable, 74 cannot write,
            75 already running, 77 no permission, 78 wrong configuration or newer store, 130 interrupted
"""


class _Parser(argparse.ArgumentParser):
    """Ends with EX_USAGE for a wrong command line, as the help says."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(_USAGE, f"{self.prog}: {message}\n")


def make_parser() -> argparse.ArgumentParser:
    """The command line of `dedupd`."""
    parser = _Parser(
        prog="dedupd",
        description="Knows every photo in your folders and tells you which you have twice.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"dedupd {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    common = _Parser(add_help=False)
    common.add_argument(
        "--config", type=Path, metavar="FILE", help="configuration (default: the user's, or /etc/dedupd)"
    )
    common.add_argument("--state-dir", type=Path, metavar="DIR", help="where the index is kept")
    common.add_argument("--log-level", choices=("debug", "info", "warning", "error"), help="what to log")

    run = commands.add_parser("run", parents=[common], help="watch folders and answer questions, in the foreground")
    run.add_argument(
        "folders", nargs="*", metavar="FOLDER", help="what to watch (default: `roots` of the configuration)"
    )
    run.add_argument("--socket", type=Path, metavar="PATH", help="where to listen")
    run.add_argument("--system", action="store_true", help="use the service's state and socket directories")

    scan = commands.add_parser("scan", parents=[common], help="find duplicates once and print a summary")
    scan.add_argument("folders", nargs="+", metavar="FOLDER", help="what to scan")
    scan.add_argument(
        "--report", type=Path, metavar="FILE", help="write a report; .html, .json or .csv decides the format"
    )
    scan.add_argument("--json", action="store_true", help="print the whole report as JSON instead of a summary")
    scan.add_argument("--quiet", action="store_true", help="print nothing but errors")
    scan.add_argument("--problems", action="store_true", help="list every file that could not be read")
    add_scan_options(scan)

    actor = commands.add_parser(
        "actor",
        help="act on files by approved plans; started by the daemon or by systemd",
        description="The only process that renames or links photos. Nobody needs to start it by hand.",
    )
    actor.add_argument("--directory", type=Path, required=True, metavar="DIR", help="where its journal is kept")
    actor.add_argument("--socket", type=Path, metavar="PATH", help="where to listen, if nobody passes a socket")
    actor.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    actor.add_argument("--listen-fd", type=int, metavar="N", help="a listening socket that the parent passes")
    actor.add_argument("--for-user", action="append", default=[], metavar="NAME", help="whose daemon may ask")
    actor.add_argument("--keep-days", type=float, default=30.0, metavar="N", help="how long the quarantine keeps files")
    actor.add_argument("--idle-exit", type=float, default=60.0, metavar="S", help="end when idle so long (default: 60)")

    check = commands.add_parser("check", parents=[common], help="verify every record of the store; needs no daemon")
    check.add_argument("--json", action="store_true", help="print the findings as JSON")
    check.add_argument("--system", action="store_true", help="check the service's store")
    check.add_argument(
        "--repair", action="store_true", help="make what is derived anew; refused where anything else is wrong"
    )

    doctor = commands.add_parser(
        "doctor", parents=[common], help="what stands in the way on this machine; needs no daemon"
    )
    doctor.add_argument("--socket", type=Path, metavar="PATH", help="where the daemon listens")
    doctor.add_argument("--system", action="store_true", help="the service's state and socket")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")

    backup = commands.add_parser(
        "backup", parents=[common], help="copy what cannot be derived again into one file, while the daemon runs or not"
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="a new tar file")
    backup.add_argument("--socket", type=Path, metavar="PATH", help="where the daemon listens")
    backup.add_argument("--system", action="store_true", help="the service's state and socket")

    restoring = commands.add_parser("restore", parents=[common], help="fill an empty state directory from a backup")
    restoring.add_argument("file", type=Path, metavar="FILE", help="what `dedupd backup` wrote")
    restoring.add_argument("--system", action="store_true", help="the service's state directory")

    calibration = commands.add_parser(
        "calibrate",
        parents=[common],
        help="measure on your library what each model's threshold finds and costs; changes nothing",
    )
    calibration.add_argument("--pictures", type=int, default=500, metavar="N", help="how many to draw (default: 500)")
    calibration.add_argument("--json", action="store_true", help="print the figures as JSON")
    calibration.add_argument("--system", action="store_true", help="the service's library")

    models = commands.add_parser(
        "models",
        help="fetch vision models, list and check them",
        epilog=MODELS_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_models_commands(models, common)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = make_parser().parse_args(argv)
    # Before numpy is loaded: its products are small here, and threads that spin for them take time from the workers.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # the same of FAISS, which searches with two
    try:
        return _COMMANDS[arguments.command](arguments)
    except DedupdError as error:
        print(f"dedupd: {error}", file=sys.stderr)
        return error.exit_code


def _settings(arguments: argparse.Namespace) -> Settings:
    return load_settings(arguments.config or find_config())


def _state_dir(arguments: argparse.Namespace, settings: Settings) -> Path:
    named = arguments.state_dir or os.environ.get("DEDUPD_STATE_DIR") or settings.state_dir
    is_system = getattr(arguments, "system", False)
    return Path(named).expanduser() if named else state_dir_for(is_system=is_system)


def _run(arguments: argparse.Namespace) -> int:
    from dedupd.daemon.service import RunOptions, run_service  # noqa: PLC0415 - `--help` needs no engine

    set_up_logging(arguments.log_level or "info")
    settings = _settings(arguments)
    state_dir = _state_dir(arguments, settings)

    def read_again() -> tuple[Settings, tuple[Path, ...]]:
        again = _settings(arguments)
        return again, tuple(resolve_roots(arguments.folders or again.roots, may_be_missing=True))

    named = arguments.socket or settings.socket
    run_service(
        RunOptions(
            settings=settings,
            roots=tuple(resolve_roots(arguments.folders or settings.roots, may_be_missing=True)),
            state_dir=state_dir,
            socket_path=Path(named).expanduser() if named else socket_path_for(is_system=arguments.system),
            read_again=read_again,
        )
    )
    return 0


def _scan(arguments: argparse.Namespace) -> int:
    set_up_logging(arguments.log_level or "warning")
    settings = settings_for_scan(arguments, _settings(arguments))
    state_dir = _state_dir(arguments, settings)
    started = _first_workers(settings, state_dir)  # they load their libraries while this process loads its own
    from dedupd.daemon.one_shot import InterruptedScanError, ScanOptions, report_format, run_scan  # noqa: PLC0415

    if arguments.report is not None:
        try:
            report_format(arguments.report)
        except ValueError:
            raise ConfigError(
                f"{arguments.report}: a report ends in .html, .json or .csv. Choose one of them."
            ) from None
    options = ScanOptions(
        settings=settings,
        roots=tuple(resolve_roots(arguments.folders)),
        state_dir=state_dir,
        report=arguments.report,
        as_json=arguments.json,
        is_quiet=arguments.quiet or arguments.json,
        show_problems=arguments.problems,
        clean_up=clean_up_asked(arguments),
        started=started,
    )
    try:
        end = run_scan(options)
    except InterruptedScanError:
        print("dedupd: interrupted. What was done is kept; the same command goes on from there.", file=sys.stderr)
        return 130
    return 1 if end is not None and (end.conflicts or end.failed or end.stopped) else 0


def _first_workers(settings: Settings, state_dir: Path) -> tuple[Spawned, ...]:
    """Decode workers for a first scan, already started; none for a later one, which may find nothing to read."""
    with contextlib.suppress(OSError):
        if not state_dir.is_dir() or not any(state_dir.iterdir()):
            return tuple(spawn() for _ in range(worker_count(settings.decode.workers)))
    return ()


def _actor(arguments: argparse.Namespace) -> int:
    from dedupd.daemon.actor import ActorOptions, run_actor  # noqa: PLC0415 - `--help` needs no actor

    set_up_logging(arguments.log_level, "dedupd-actor")
    run_actor(
        ActorOptions(
            directory=arguments.directory,
            listen_fd=arguments.listen_fd,
            socket_path=arguments.socket,
            for_users=tuple(arguments.for_user),
            keep_days=arguments.keep_days,
            idle_exit_s=arguments.idle_exit,
        )
    )
    return 0


def _models(arguments: argparse.Namespace) -> int:
    from dedupd.daemon.models import run_models  # noqa: PLC0415 - `--help` needs no models

    settings = _settings(arguments)
    return run_models(arguments, models_directory(settings, _state_dir(arguments, settings)))


def _calibrate(arguments: argparse.Namespace) -> int:
    from dedupd.daemon.calibrate import run_calibration  # noqa: PLC0415 - `--help` needs no model

    set_up_logging(arguments.log_level or "warning")
    settings = _settings(arguments)
    state_dir = _state_dir(arguments, settings)
    return run_calibration(settings, state_dir, pictures=arguments.pictures, as_json=arguments.json)


def _doctor(arguments: argparse.Namespace) -> int:
    from dedupd.core.examination import Verdict, worst  # noqa: PLC0415 - `--help` needs nothing of this
    from dedupd.daemon.doctor import examine  # noqa: PLC0415
    from dedupd.protocol.convert import doctor_message  # noqa: PLC0415

    settings = _settings(arguments)
    named = arguments.socket or settings.socket
    socket = Path(named).expanduser() if named else socket_path_for(is_system=arguments.system)
    findings = examine(
        settings,
        state_dir=_state_dir(arguments, settings),
        roots=[os.fsencode(Path(root).expanduser()) for root in settings.roots],
        socket_path=socket if socket.exists() else None,
    )
    if arguments.json:
        print(msgspec.json.encode(doctor_message(findings)).decode())
    else:
        for finding in findings:
            remedy = f"\n         → {finding.remedy}" if finding.remedy else ""
            print(f"{finding.verdict:<8} {finding.subject}: {finding.words}{remedy}")
    return 1 if worst(findings) is Verdict.PROBLEM else 0


def _backup(arguments: argparse.Namespace) -> int:
    from dedupd.daemon.backup import back_up  # noqa: PLC0415 - `--help` needs no store

    settings = _settings(arguments)
    named = arguments.socket or settings.socket
    socket = Path(named).expanduser() if named else socket_path_for(is_system=arguments.system)
    size_bytes = back_up(_state_dir(arguments, settings), socket, arguments.file)
    print(f"{arguments.file}: {size_bytes:,} bytes")
    if settings.cleanup.actor_socket:
        print("The journal of the actor's own unit is not in it: back up /var/lib/dedupd-actor as well.")
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    from dedupd.daemon.backup import restore  # noqa: PLC0415 - `--help` needs no store

    report = restore(arguments.file, _state_dir(arguments, _settings(arguments)))
    print(f"{report.directory}: restored and checked, {sum(report.rows.values()):,} records, nothing wrong")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from dedupd.store import check, repair  # noqa: PLC0415 - `--help` needs no store

    state_dir = _state_dir(arguments, _settings(arguments))
    if arguments.repair:
        repaired = repair(state_dir)
        report = repaired.after
        if repaired.has_repaired and not arguments.json:
            found = len(repaired.before.findings) + repaired.before.findings_left_out
            print(f"{report.directory}: {found:,} findings, all of them in what is derived; that was made anew")
    else:
        report = check(state_dir)
    if arguments.json:
        print(msgspec.json.encode(_check_message(report)).decode())
        return 0 if report.is_clean else _STORE_DAMAGED
    rows = sum(report.rows.values())
    print(f"{report.directory}: {rows:,} records in {len(report.rows)} tables read, {len(report.findings)} findings")
    for finding in report.findings:
        print(f"  {finding.table} {finding.key}: {finding.message}")
    if report.findings_left_out:
        print(f"  … and {report.findings_left_out:,} more")
    if not report.is_clean:
        print(
            "The store is damaged. Your photos are not: dedupd only reads them. `dedupd check --repair` makes anew "
            "what can be derived. Else restore a backup, or move the state directory away: it is built anew."
        )
    return 0 if report.is_clean else _STORE_DAMAGED


def _check_message(report: CheckReport) -> dict[str, object]:
    return {
        "directory": str(report.directory),
        "is_clean": report.is_clean,
        "was_closed_cleanly": report.was_closed_cleanly,
        "rows": report.rows,
        "findings": [{"table": f.table, "key": f.key, "message": f.message} for f in report.findings],
        "findings_left_out": report.findings_left_out,
    }


_COMMANDS = {
    "run": _run,
    "scan": _scan,
    "actor": _actor,
    "check": _check,
    "doctor": _doctor,
    "backup": _backup,
    "restore": _restore,
    "calibrate": _calibrate,
    "models": _models,
}


if __name__ == "__main__":
    sys.exit(main())
