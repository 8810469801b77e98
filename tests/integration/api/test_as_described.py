"""The API does what its own description says, whatever it is asked: schemathesis, over the real Unix socket."""

import os
import socket

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS, load_all_checks
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from dedupd.api.openapi import describe_api

EXAMPLES = int(os.environ.get("DEDUPD_API_EXAMPLES", "12"))  # of each route
# Here a request may be as its schema says and wrong all the same, and is refused with the reason: bytes that are no
# picture, a path that is not absolute, a token that was not given out, a root that is configured still.
BEYOND_A_SCHEMA = {
    "draft_plan",
    "expire",
    "explain",
    "explain_upload",
    "find",
    "forget_root",
    "pin",
    "reject",
    "similar_upload",
    "undo",
    "unpin",
    "withdraw",
}
load_all_checks()
positive_data_acceptance = CHECKS.get_one("positive_data_acceptance")
API = schemathesis.openapi.from_dict(describe_api())


class UnixConnection(HTTPConnection):
    """urllib3's connection, made to a path."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def _new_conn(self):
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(20)
        connected.connect(os.fspath(self.path))
        return connected


class UnixPool(HTTPConnectionPool):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def _new_conn(self):
        return UnixConnection(self.path)


class UnixAdapter(requests.adapters.HTTPAdapter):
    """Takes every request to one socket."""

    def __init__(self, path):
        super().__init__()
        self.pool = UnixPool(path)

    def get_connection_with_tls_context(self, *_args, **_options):
        return self.pool

    def close(self):
        self.pool.close()
        super().close()


@pytest.fixture(scope="module")
def session(shared_album):
    with requests.Session() as session:
        session.mount("http://", UnixAdapter(shared_album.socket_path))
        yield session


@API.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_the_api_describes_itself(case, session):
    if case.path == "/v1/events":
        case.query["follow"] = "false"  # a stream that is followed has no end
    case.call_and_validate(
        base_url="http://dedupd",
        session=session,
        timeout=20,
        excluded_checks=[positive_data_acceptance]
        if case.operation.definition.raw["operationId"] in BEYOND_A_SCHEMA
        else [],
    )
