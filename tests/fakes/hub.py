"""A hub of our own on the loopback: answers what huggingface_hub asks of the real one, for one model at a time.

GET  /api/models/NAME/revision/REVISION    which commit that is, and the files
GET  /api/models/NAME/tree/COMMIT          the files again
HEAD and GET /NAME/resolve/COMMIT/FILE     one of them
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class FakeHub:
    """What it has. Change it between two requests to play a hub that changes."""

    name: str
    commits: dict[str, dict[str, bytes]]  # commit → its files
    branches: dict[str, str] = field(default_factory=dict)
    lied_about: dict[str, str] = field(default_factory=dict)  # file → the checksum that is claimed
    breaks_off_in: str = ""  # the file of which only half is sent, then nothing more
    broke_off: threading.Event = field(default_factory=threading.Event)
    may_go_on: threading.Event = field(default_factory=threading.Event)
    endpoint: str = ""
    asked: list[str] = field(default_factory=list)  # "METHOD path", in order

    def files_of(self, folder: Path, commit: str) -> None:
        """Take a folder's files as those of a commit."""
        self.commits[commit] = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@contextmanager
def running(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve it; its `endpoint` is for HF_ENDPOINT."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.may_go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        hub.asked.append(f"{self.command} {path}")
        match path.removeprefix("/api/models/").removeprefix("/").removeprefix(hub.name).split("/"):
            case ["", "revision", revision]:
                commit = hub.branches.get(revision, revision)
                if commit not in hub.commits:
                    self._refuse("RevisionNotFound")
                else:
                    siblings = [_sibling(hub, commit, name) for name in hub.commits[commit]]
                    self._send(json.dumps({"id": hub.name, "sha": commit, "siblings": siblings}).encode())
            case ["", "tree", commit]:
                self._send(json.dumps([_entry(hub, commit, name) for name in hub.commits[commit]]).encode())
            case ["", "resolve", commit, name] if name in hub.commits.get(commit, {}):
                self._send_file(hub.commits[commit][name], commit, is_whole=name != hub.breaks_off_in)
            case ["", "resolve", *_]:
                self._refuse("EntryNotFound")
            case _:
                self._refuse("RepoNotFound")

    def _send_file(self, data: bytes, commit: str, *, is_whole: bool) -> None:
        first = 0
        if (asked := self.headers.get("Range")) is not None:
            first = int(asked.removeprefix("bytes=").partition("-")[0])
        extra = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if first:
            extra["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        self._send(data[first:], status=206 if first else 200, extra=extra, is_whole=is_whole)

    def _send(
        self, data: bytes, *, status: int = 200, extra: dict[str, str] | None = None, is_whole: bool = True
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data if is_whole else data[: len(data) // 2])
            if not is_whole:
                self.wfile.flush()
                self.hub.broke_off.set()
                self.hub.may_go_on.wait()

    def _refuse(self, code: str) -> None:
        self._send(b"", status=404, extra={"X-Error-Code": code, "X-Error-Message": code})


def _is_large(name: str) -> bool:
    return name.endswith((".safetensors", ".bin"))


def _sha256_of(hub: FakeHub, commit: str, name: str) -> str:
    return hub.lied_about.get(name) or hashlib.sha256(hub.commits[commit][name]).hexdigest()


def _sibling(hub: FakeHub, commit: str, name: str) -> dict[str, Any]:
    data = hub.commits[commit][name]
    described: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": hashlib.sha1(data).hexdigest()}
    if _is_large(name):
        described["lfs"] = {"sha256": _sha256_of(hub, commit, name), "size": len(data), "pointerSize": 130}
    return described


def _entry(hub: FakeHub, commit: str, name: str) -> dict[str, Any]:
    data = hub.commits[commit][name]
    described: dict[str, Any] = {
        "type": "file",
        "path": name,
        "size": len(data),
        "oid": hashlib.sha1(data).hexdigest(),
    }
    if _is_large(name):
        described["lfs"] = {"oid": _sha256_of(hub, commit, name), "size": len(data), "pointerSize": 130}
    return described
