"""What people can use is documented: every route, every event, every command; and nothing that does not exist."""

import argparse
import re
from pathlib import Path

import pytest

from dedupd.api.openapi import describe_api
from dedupd.api.routes import ROUTES
from dedupd.cli.parser import build_parser
from dedupd.core import errors
from dedupd.protocol.cleanup import RUN_MESSAGE_KINDS
from dedupd.protocol.events import EVENT_KINDS
from dedupd.protocol.names import ACTIONS, OUTCOMES, PLAN_STATES, PROBLEM_CODES, RELATIONS, ROLES, SPARED

DOCS = Path(__file__).parents[2] / "docs"
API = (DOCS / "api.md").read_text(encoding="utf-8")
EVENTS = (DOCS / "events.md").read_text(encoding="utf-8")


def commands():
    (action,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return action.choices


def test_the_documented_routes_are_the_routes():
    documented = re.findall(r"^### (GET|POST|DELETE) (\S+)$", API, re.MULTILINE)
    assert sorted(documented) == sorted((spec.method, spec.path) for spec in ROUTES)


def test_every_route_is_in_the_openapi_description():
    paths = describe_api()["paths"]
    described = {(method.upper(), path) for path, operations in paths.items() for method in operations}
    assert described == {(spec.method, spec.path) for spec in ROUTES}


def test_every_parameter_is_documented():
    for spec in ROUTES:
        section = API.partition(f"### {spec.method} {spec.path}\n")[2].partition("\n### ")[0]
        for field in spec.query.__struct_fields__:
            assert re.search(rf"`{field}\b", section), f"{spec.path}: {field}"


def test_the_documented_events_are_the_events():
    kinds = EVENTS.partition("## Kinds")[2]
    assert sorted(re.findall(r"^### (\S+)$", kinds, re.MULTILINE)) == sorted(EVENT_KINDS)


@pytest.mark.parametrize(
    "word", [*PROBLEM_CODES, *RELATIONS, *ACTIONS, *ROLES, *PLAN_STATES, *SPARED, *OUTCOMES, *RUN_MESSAGE_KINDS]
)
def test_every_stable_word_is_documented(word):
    assert f"`{word}`" in API


def test_every_command_s_help_has_an_example_of_it():
    for name, parser in commands().items():
        examples = parser.format_help().partition("examples:\n")[2]
        assert f"  dedupctl {name}" in examples, name


def test_every_example_is_understood():
    for parser in commands().values():
        for line in parser.format_help().partition("examples:\n")[2].splitlines():
            words = line.partition("&&")[0].split()
            assert build_parser().parse_args(words[1:]).command == words[1]


def test_who_is_an_admin_is_told_where_it_matters():
    for spec in ROUTES:
        section = API.partition(f"### {spec.method} {spec.path}\n")[2].partition("\n### ")[0]
        assert bool(re.search(r"Admins\s+only", section)) == spec.is_admin, spec.name


def test_every_exit_code_is_in_the_help():
    text = build_parser().format_help()
    client_side = [
        errors.RequestError,
        errors.UnreadableImageError,
        errors.NotFoundError,
        errors.DaemonUnreachableError,
        errors.StoreWriteError,
        errors.AccessError,
    ]
    for kind in client_side:
        assert re.search(rf"^ +{kind.exit_code}  ", text, re.MULTILINE), kind


def test_every_command_s_json_is_documented():
    section = API.partition("## JSON from dedupctl")[2]
    for name in commands():
        assert f"`{name}`" in section, name
