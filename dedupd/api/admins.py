"""Who may change something: root, the user who runs the daemon, and those whom the configuration names.

Does not find out who asks (`peer` does). Owns nothing; users are looked up once, when it is made.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass

from dedupd.api.peer import Peer
from dedupd.core.errors import AccessError, ConfigError

SETTING = "cleanup.admins"
_ROOT_UID = 0
_NO_UID = 2**32 - 1  # (uid_t)-1: the kernel's "no such user"


@dataclass(frozen=True, slots=True)
class Admins:
    """The users who may change something."""

    uids: frozenset[int]

    @classmethod
    def named(cls, names: Iterable[str] = ()) -> Admins:
        """Root, the daemon's own user, and these: user names, or numbers where a user has no name here.

        Raises:
            ConfigError: there is no such user. A misspelt admin must not be passed over in silence.
        """
        return cls(frozenset({_ROOT_UID, os.geteuid(), *map(_uid_of, names)}))

    def require(self, peer: Peer | None, right: str) -> None:
        """Return if this peer may; `right` says what, as in "apply plans".

        Raises:
            AccessError: it may not, or nobody can say who it is.
        """
        if peer is None:
            raise AccessError(
                f"Nobody can say who asks, so it may not {right}: only the daemon's Unix socket tells users apart."
            )
        if peer.uid not in self.uids:
            name = _name_of(peer.uid)
            shown = f"uid {peer.uid}" if name is None else f"{name} (uid {peer.uid})"
            raise AccessError(
                f"{shown} may not {right}: that is for root, the user who runs dedupd, and the users in {SETTING}. "
                f'Add "{name or peer.uid}" to {SETTING} in the configuration and restart dedupd, or ask as root.'
            )


def _uid_of(name: str) -> int:
    if name.isascii() and name.isdigit():
        if int(name) < _NO_UID:
            return int(name)
    else:
        try:
            return pwd.getpwnam(name).pw_uid
        except (KeyError, ValueError):  # ValueError: a NUL in it
            pass
    raise ConfigError(f"{SETTING}: there is no user {name!r} on this machine. `getent passwd` lists them.")


def _name_of(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
