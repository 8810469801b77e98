"""dedupd: a daemon that knows every photo in your folders and tells you which you have twice."""

__version__ = "0.1.0"
