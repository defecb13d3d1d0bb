"""The domain imports only the standard library and pydantic."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

# annotated-types is a part of pydantic: the metadata of its fields are of it
ALLOWED = {"app", "pydantic", "pydantic_core", "annotated_types"}
DOMAIN = Path(__file__).resolve().parents[1] / "app" / "domain"


def imported(path: Path) -> set[str]:
    """The packages that a file names in its imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in plain | named}


def test_the_domain_imports_only_the_standard_library_and_pydantic() -> None:
    files = list(DOMAIN.rglob("*.py"))
    assert files
    foreign = {path.name: imported(path) - sys.stdlib_module_names - ALLOWED for path in files}
    assert not any(foreign.values()), foreign
