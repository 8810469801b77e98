"""What is raised for bytes that are not what they should be, under one name: msgspec lets two errors through."""

from __future__ import annotations

import msgspec

# Bad syntax or another type than expected; text that is no UTF-8; brackets thousands deep.
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
