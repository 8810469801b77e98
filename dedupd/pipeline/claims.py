"""Claims: which file's read decodes which digest, and the copies that wait for it, so that a content is decoded once.

Reads and decodes nothing. Owns the claims, which any thread may ask for, and the waiting reads, which only the describe
thread touches.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from dedupd.core.ports import Library
from dedupd.core.records import FilePath
from dedupd.pipeline.work import Done


class Claims:
    """See the module."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._claims: dict[bytes, FilePath] = {}  # digest → who decodes it
        self._waiting: dict[bytes, list[Done]] = {}  # copies of what another is decoding

    def claimer(self, path: FilePath) -> Callable[[bytes], bool]:
        """Build the pool's question "do you know this digest?": yes also while another worker decodes it.

        A no is a claim: whoever asked decodes the digest. The pool asks again when a worker died and the file gets its
        second attempt: its own claim is no yes then. Thread-safe.
        """

        def is_known(digest: bytes) -> bool:
            with self._lock:
                if digest in self._claims:
                    return self._claims[digest] != path
                with self._library.view() as view:
                    if view.content_by_digest(digest) is not None:
                        return True
                self._claims[digest] = path
                return False

        return is_known

    def is_claimed(self, digest: bytes) -> bool:
        """Whether somebody decodes it now. Thread-safe."""
        return digest in self._claims  # no lock: asked within a transaction, while its holders read the store

    def wait(self, digest: bytes, done: Done) -> None:
        """Keep the read of a copy until the claim on its digest is released."""
        self._waiting.setdefault(digest, []).append(done)

    def waiting(self) -> set[FilePath]:
        """The files whose reads wait for another's."""
        return {done.work.path for waiting in self._waiting.values() for done in waiting}

    def release(self, paths: Collection[FilePath]) -> list[Done]:
        """Give back what these files claimed; the reads that waited for it."""
        with self._lock:
            freed = [digest for digest, path in self._claims.items() if path in paths]
            for digest in freed:
                del self._claims[digest]
        return [done for digest in freed for done in self._waiting.pop(digest, [])]
