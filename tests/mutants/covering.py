"""Which tests can notice a change: those that run the changed line, or what uses it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import coverage

from tests.mutants.sample import TARGETS

# Tests within one process. Those of whole services are too slow to run for every change.
CORE = ("tests/domain", "tests/db", "tests/services")
TESTS = (*CORE, "tests/adapters", "tests/hub", "tests/web")


def measure(data_file: Path, tests: Sequence[str] = TESTS) -> None:
    """Run the tests once and record which of them runs each line. Raises CalledProcessError if one fails."""
    options = ["--source", ",".join(TARGETS), "--data-file", str(data_file)]
    command = [sys.executable, "-m", "coverage", "run", *options, "-m", "pytest", "-q", "-p", "tests.mutants.contexts"]
    subprocess.run([*command, *tests], check=True, env={**os.environ, "COVERAGE_CORE": "ctrace"})


class Covering:
    """The coverage of one run of the tests."""

    def __init__(self, data_file: Path) -> None:
        self._data = coverage.CoverageData(str(data_file))
        self._data.read()

    def tests_of(self, path: Path, line: int) -> list[str]:
        """The tests to run for a change of this line, the likeliest to fail first.

        Importing a module belongs to no test. For a change that takes effect then, the tests of the functions that use the
        names it sets come first, and all others of the core after them.
        """
        tree = ast.parse(path.read_text())
        changed = _statement_at(tree, line)
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        if any(changed & _body(function) for function in functions):
            return self._running(path, changed)
        names = _names_set_at(tree, changed)
        users = [_body(function) for function in functions if names & _names_in(function)]
        first = self._running(path, set[int]().union(*users))
        return first + [test for test in self._core if test not in set(first)]

    def _running(self, path: Path, lines: set[int]) -> list[str]:
        contexts = self._data.contexts_by_lineno(str(path.resolve()))
        return _in_order({test for line in lines for test in contexts.get(line, ()) if test})

    @cached_property
    def _core(self) -> list[str]:
        return _in_order(test for test in self._data.measured_contexts() if test.startswith(CORE))


def _in_order(tests: Iterable[str]) -> list[str]:
    """The tests on SQLite first, because they need no server."""
    return sorted(tests, key=lambda test: ("postgresql" in test, test))


def _statement_at(tree: ast.Module, line: int) -> set[int]:
    """The lines of the innermost statement there; of one that contains others, those before the first of them."""
    around = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and line in _lines(node)]
    innermost = min(around, key=lambda node: len(_lines(node)))
    body: list[ast.stmt] = getattr(innermost, "body", [])
    inside = {each for statement in body for each in _lines(statement)}
    return {line} | (_lines(innermost) - inside if body and line not in inside else _lines(innermost))


def _names_set_at(tree: ast.Module, lines: set[int]) -> set[str]:
    """The names that these lines of a module set, and all that are made of them."""
    names: set[str] = set()
    for statement in tree.body:
        if lines & _lines(statement) or names & _names_in(statement):
            names |= set(_targets(statement))
    return names


def _targets(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _names_in(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}


def _lines(node: ast.stmt) -> set[int]:
    return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))


def _body(function: ast.FunctionDef) -> set[int]:
    return {line for statement in function.body for line in _lines(statement)}
