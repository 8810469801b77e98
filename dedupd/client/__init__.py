"""The client of the daemon's API. Needs nothing but the standard library and msgspec."""

from dedupd.client.client import Client

__all__ = ["Client"]
