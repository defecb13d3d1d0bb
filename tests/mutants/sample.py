"""The changes to test: a fixed sample of all sensible ones, spread over the files."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cosmic_ray.commands.init import init
from cosmic_ray.modules import find_modules
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import MutationSpec, WorkItem

from tests.mutants import operators

TARGETS = ("app/domain", "app/services", "app/db")
SEED = 16
# Outside of the domain a larger number is a size, an interval or a column's width, whose exact value does not matter.
LARGEST_NUMBER = 10
# Of the many ways to replace an operator the likeliest slips; most of the others raise an error wherever they are run.
OPERATORS = {
    "core/AddNot",
    "core/ExceptionReplacer",
    "core/NumberReplacer",
    "core/ReplaceAndWithOr",
    "core/ReplaceBinaryOperator_Add_Sub",
    "core/ReplaceBinaryOperator_BitAnd_BitOr",
    "core/ReplaceBinaryOperator_BitOr_BitAnd",
    "core/ReplaceBinaryOperator_Div_Mul",
    "core/ReplaceBinaryOperator_Sub_Add",
    "core/ReplaceBreakWithContinue",
    "core/ReplaceComparisonOperator_Eq_NotEq",
    "core/ReplaceComparisonOperator_GtE_Gt",
    "core/ReplaceComparisonOperator_Gt_GtE",
    "core/ReplaceComparisonOperator_In_NotIn",
    "core/ReplaceComparisonOperator_IsNot_Is",
    "core/ReplaceComparisonOperator_Is_IsNot",
    "core/ReplaceComparisonOperator_LtE_Lt",
    "core/ReplaceComparisonOperator_Lt_LtE",
    "core/ReplaceComparisonOperator_NotEq_Eq",
    "core/ReplaceComparisonOperator_NotIn_In",
    "core/ReplaceContinueWithBreak",
    "core/ReplaceFalseWithTrue",
    "core/ReplaceOrWithAnd",
    "core/ReplaceTrueWithFalse",
    "core/ReplaceUnaryOperator_Delete_Invert",
    "core/ReplaceUnaryOperator_Delete_Not",
    "core/ZeroIterationForLoop",
    *(f"{operators.PROVIDER}/{name}" for name in operators.OPERATORS),
}


def fill(session: WorkDB, size: int) -> None:
    """Write the sample into the session: `size` changes, the same ones for the same code."""
    init(find_modules([Path(target) for target in TARGETS]), session, {})
    chosen = choose(list(session.work_items), size)
    session.clear()
    session.add_work_items(chosen)


def choose(items: Iterable[WorkItem], size: int) -> list[WorkItem]:
    """`size` of the sensible changes, in proportion for each file."""
    by_file: dict[Path, list[WorkItem]] = {}
    for item in sorted(items, key=_order):
        by_file.setdefault(_spec(item).module_path, []).append(item)
    sensible = {path: _sensible(path, found) for path, found in by_file.items()}
    draw = random.Random(SEED)
    shuffled = [draw.sample(found, len(found)) for found in sensible.values()]
    # the n-th of a file's m changes is placed between n/m and (n+1)/m, so the first `size` contain each file in proportion
    ranked = sorted(
        ((number + draw.random()) / len(found), index, number)
        for index, found in enumerate(shuffled)
        for number in range(len(found))
    )
    return [shuffled[index][number] for _, index, number in ranked[:size]]


def _sensible(path: Path, items: Sequence[WorkItem]) -> list[WorkItem]:
    """The changes by our operators that can change behaviour."""
    ignored = list(_ignored(path, ast.parse(path.read_text())))
    return [item for item in items if _spec(item).operator_name in OPERATORS and not _lies_in(_spec(item), ignored)]


def _ignored(path: Path, tree: ast.AST) -> Iterator[ast.AST]:
    """Annotations, log messages, how classes are declared, and large numbers."""
    for node in ast.walk(tree):
        match node:
            case ast.arg(annotation=ast.AST() as annotation) | ast.AnnAssign(annotation=annotation):
                yield annotation
            case ast.FunctionDef(returns=ast.AST() as returns):
                yield returns
            case ast.ClassDef(decorator_list=decorators):
                yield from decorators
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log")))):
                yield node
            case ast.Constant(value=int() | float() as number) if (
                number > LARGEST_NUMBER and "domain" not in path.parts
            ):
                yield node
            case _:
                pass


def _lies_in(spec: MutationSpec, nodes: Iterable[ast.AST]) -> bool:
    return any(
        (node.lineno, node.col_offset) <= spec.start_pos  # type: ignore[attr-defined]
        and spec.end_pos <= (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
        for node in nodes
    )


def _order(item: WorkItem) -> tuple[str, tuple[int, int], str, int]:
    spec = _spec(item)
    return str(spec.module_path), spec.start_pos, spec.operator_name, spec.occurrence


def _spec(item: WorkItem) -> MutationSpec:
    return item.mutations[0]
