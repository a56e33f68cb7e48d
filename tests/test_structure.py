"""What matters about the structure of the source: who imports whom, drivers only in their adapters, docstrings."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter

import pytest

import domain
from tests import ROOT

SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("domain", "projections")
    for path in sorted((ROOT / package).rglob("*.py"))
}
TREES = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in SOURCES.items()}

# Which modules may know a library; a name ends with a dot where everything below it is meant.
ALLOWED = {
    "psycopg": ("domain.storage.postgres.", "projections.stores.postgres."),
    "sqlite3": ("domain.storage.sqlite.", "projections.stores.sqlite."),
    "eventsourcing": ("domain.storage.", "domain.topics"),
    "pydantic": ("domain.contract_types", "projections.web."),
    "pydantic_core": ("domain.contract_types", "domain.contract"),
    "msgspec": (
        "domain.envelope",
        "domain.decoding",
        "domain.appointment",
        "domain.masking",
        "projections.rows",
        "projections.cli.sample",
        "projections.cli.writing",
        "projections.rebuilding.differences",
        "projections.stores.tally",
    ),
    "distributed": ("projections.rebuilding.dask",),
    "typer": ("projections.cli.",),
    "rich": ("projections.cli.",),
    "icalendar": ("projections.queries.calendar",),
    "fastapi": ("projections.web.",),
    "starlette": ("projections.web.",),
    "uvicorn": ("projections.web.",),
    "anyio": ("projections.web.",),
    "prometheus_client": ("projections.metrics",),
    "jinja2": ("projections.web.rendering",),
    "typing_extensions": ("domain.", "projections."),
}


@cache
def imports(module: str) -> list[tuple[str, ast.Import | ast.ImportFrom]]:
    """Every module that a module imports, at its top or in a function."""
    return list(_imports(module))


def _imports(module: str) -> Iterator[tuple[str, ast.Import | ast.ImportFrom]]:
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            assert node.module is not None
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ((name if name in SOURCES else node.module, node) for name in submodules)


def own_imports(module: str) -> set[str]:
    return {name for name, _ in imports(module) if name in SOURCES}


def test_what_happened_never_imports_what_we_know_now() -> None:
    strayed = [
        (module, name)
        for module in SOURCES
        if module.startswith("domain")
        for name, _ in imports(module)
        if name.split(".")[0] == "projections"
    ]
    assert not strayed


def test_nothing_in_the_source_imports_the_tests() -> None:
    assert not [module for module in SOURCES for name, _ in imports(module) if name.split(".")[0] == "tests"]


def test_modules_import_each_other_in_one_direction_only() -> None:
    graph = {module: own_imports(module) - {module} for module in SOURCES}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("library", ALLOWED)
def test_a_library_is_known_only_where_it_is_adapted(library: str) -> None:
    users = {module for module in SOURCES for name, _ in imports(module) if name.split(".")[0] == library}
    assert users, f"nothing uses {library}"
    strangers = {
        user for user in users if not user.startswith(ALLOWED[library]) and f"{user}." not in ALLOWED[library]
    }
    assert not strangers


def test_every_library_that_is_imported_is_one_of_the_dependencies() -> None:
    known = {*sys.stdlib_module_names, *ALLOWED, "domain", "projections"}
    assert {name.split(".")[0] for module in SOURCES for name, _ in imports(module)} <= known


def test_backends_are_chosen_in_one_place_and_do_not_know_each_other() -> None:
    backends = ("memory", "sqlite", "postgres")
    for module in SOURCES:
        own = [backend for backend in backends if backend in module]
        if own:
            others = set(backends) - set(own)
            assert not [name for name in own_imports(module) if any(other in name for other in others)], module


@pytest.mark.parametrize("module", SOURCES)
def test_everything_public_is_described(module: str) -> None:
    tree = TREES[module]
    if tree.body:
        assert ast.get_docstring(tree), module
    assert not [f"{module}.{name}" for name, node in _public(tree) if not ast.get_docstring(node)]


def _public(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                for member in node.body:
                    if (
                        isinstance(member, ast.FunctionDef)
                        and not member.name.startswith("_")
                        and not _overrides(member)
                    ):
                        yield f"{node.name}.{member.name}", member


def _overrides(member: ast.FunctionDef) -> bool:
    """Whether what it promises is said where it is inherited from."""
    return any(isinstance(decorator, ast.Name) and decorator.id == "override" for decorator in member.decorator_list)


def test_no_file_of_the_source_is_longer_than_three_hundred_lines() -> None:
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in SOURCES.items()}
    assert not {module: count for module, count in lines.items() if count > 300}


def test_the_version_of_the_fold_is_kept_in_one_place() -> None:
    copies = [
        module
        for module in SOURCES
        for _, node in imports(module)
        if isinstance(node, ast.ImportFrom) and "FOLD_VERSION" in [alias.name for alias in node.names]
    ]
    assert not copies, "ask for current_fold_version()"


def test_every_error_that_a_caller_may_meet_is_exported_beside_its_base() -> None:
    errors = {node.name for node in TREES["domain.errors"].body if isinstance(node, ast.ClassDef)}
    assert errors <= set(domain.__all__)


@pytest.mark.parametrize("package", ["domain", "projections", "projections.cli"])
def test_the_docstring_of_a_package_is_a_map_of_it(package: str) -> None:
    parts = {name.removeprefix(f"{package}.").split(".")[0] for name in SOURCES if name.startswith(f"{package}.")}
    named = set(re.findall(r"\w+", ast.get_docstring(TREES[package]) or ""))
    assert parts - {"__main__"} <= named
