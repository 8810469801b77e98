"""`dedupctl version`."""

from __future__ import annotations

import argparse

import dedupd
from dedupd.cli.asking import client_of
from dedupd.cli.documents import VersionDocument
from dedupd.cli.printing import Output, escaped
from dedupd.core.errors import DedupdError


def run(args: argparse.Namespace, output: Output) -> int:
    """Say both versions; a daemon that does not answer is no error here."""
    try:
        daemon: str | None = client_of(args).status().version
        trouble = ""
    except DedupdError as error:
        daemon, trouble = None, str(error).partition("\n")[0]
    if output.is_json:
        output.document(VersionDocument(dedupctl=dedupd.__version__, daemon=daemon))
    else:
        output.line(f"dedupctl {dedupd.__version__}")
        output.line(f"daemon   {escaped(daemon or trouble)}")
    return 0
