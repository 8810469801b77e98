"""The store: everything dedupd knows, in one LMDB environment, and the preview cache beside it.

Implements the `Library` and `PreviewCache` ports. No other package imports lmdb. Decides nothing about pictures.
"""

from __future__ import annotations

from dedupd.store.check import CheckReport, Finding, check
from dedupd.store.library import LmdbLibrary
from dedupd.store.preview_cache import DiskPreviewCache
from dedupd.store.repair import RepairReport, repair

__all__ = ["CheckReport", "DiskPreviewCache", "Finding", "LmdbLibrary", "RepairReport", "check", "repair"]
