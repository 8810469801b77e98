"""Turns the [alerts] settings into channels and the watcher that feeds them."""

from __future__ import annotations

from pathlib import Path

from dedupd.alerts.channels import AppriseChannel, Channel, HookChannel, LogChannel
from dedupd.alerts.watcher import AlertWatcher
from dedupd.core.alert_rules import AlertPolicy
from dedupd.core.errors import ConfigError
from dedupd.daemon.build import Engine
from dedupd.settings.schema import Alerts


def make_alert_watcher(settings: Alerts, engine: Engine) -> AlertWatcher:
    """The watcher with every configured channel; the log is always one.

    Raises:
        ConfigError: a hook or a URL that cannot be used; the message names no secret.
    """
    channels: list[Channel] = [LogChannel()]
    if settings.hook:
        channels.append(HookChannel(settings.hook, settings.hook_timeout_s, engine.roots.paths))
    channels += [AppriseChannel(url) for url in (*settings.urls, *_urls_in(settings.urls_file))]
    policy = AlertPolicy(quiet_s=settings.quiet_s, gather_at_most_s=settings.gather_at_most_s, on_scan=settings.on_scan)
    return AlertWatcher(
        engine.library,
        channels,
        policy=policy,
        per_hour=settings.at_most_per_hour,
        root_paths=engine.roots.paths,
    )


def _urls_in(name: str) -> list[str]:
    if not name:
        return []
    try:
        lines = Path(name).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigError(f"`alerts.urls_file`: cannot read {name}: {reason}.") from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
