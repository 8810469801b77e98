"""Every port has one contract suite, and the suite uses all that the port promises.

Ports are the protocols where packages meet; a new one fails here until `tests/contracts/test_<its name>.py` is there.
Judges by the sources' text only: what a suite asks is the suite's.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import dedupd

SOURCES = Path(dedupd.__file__).parent
SUITES = Path(__file__).parent

HOMES = ("core/ports.py", "core/cleanup_ports.py", "alerts/channels.py", "api/report_source.py")
PART_OF = {
    "LibraryView": "Library",
    "LibraryTransaction": "Library",
    "GroupListing": "Groups",
}  # got from it, so its suite covers them


def protocols(source: Path) -> dict[str, ast.ClassDef]:
    """The protocol classes of a module, by name."""
    classes = [node for node in ast.walk(ast.parse(source.read_bytes())) if isinstance(node, ast.ClassDef)]
    return {node.name: node for node in classes if "Protocol" in map(ast.unparse, node.bases)}


PORTS = {name: node for home in HOMES for name, node in protocols(SOURCES / home).items()}


def suite_of(port: str) -> Path:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", PART_OF.get(port, port)).lower()
    return SUITES / f"test_{words}.py"


def promised(port: ast.ClassDef) -> set[str]:
    """The names of a port's methods and attributes, but for the special ones."""
    methods = {node.name for node in port.body if isinstance(node, ast.FunctionDef)}
    attributes = {ast.unparse(node.target) for node in port.body if isinstance(node, ast.AnnAssign)}
    return {name for name in methods | attributes if not name.startswith("__")}


def imported_from(source: Path) -> set[tuple[str, str]]:
    """(module, name) of every `from dedupd… import …` in a module."""
    nodes = (node for node in ast.walk(ast.parse(source.read_bytes())) if isinstance(node, ast.ImportFrom))
    return {(node.module or "", alias.name) for node in nodes for alias in node.names}


def test_a_protocol_that_is_no_port_stays_within_its_package():
    sources = {source: source.relative_to(SOURCES) for source in SOURCES.rglob("*.py")}
    inner = {
        (".".join(("dedupd", *place.with_suffix("").parts)), name)
        for source, place in sources.items()
        if place.as_posix() not in HOMES
        for name in protocols(source)
    }
    assert ("dedupd.pipeline.stage", "Clock") in inner
    for source, place in sources.items():
        crossing = {
            (module, name) for module, name in imported_from(source) & inner if module.split(".")[1] != place.parts[0]
        }
        assert not crossing, f"{place} and {crossing} meet in a protocol: make it a port"


@pytest.mark.parametrize("port", PORTS)
def test_every_port_has_a_suite_that_names_it(port):
    suite = suite_of(port)
    assert suite.exists(), f"{port} has no contract suite: write {suite.name}"
    duty = ast.get_docstring(ast.parse(suite.read_bytes())) or ""
    assert re.search(rf"\b{PART_OF.get(port, port)}\b", duty), f"the docstring of {suite.name} does not name {port}"


@pytest.mark.parametrize("port", PORTS)
def test_every_suite_uses_all_that_its_port_promises(port):
    tree = ast.parse(suite_of(port).read_bytes())
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert promised(PORTS[port]) - used == set()
