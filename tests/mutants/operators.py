"""Two kinds of change that Cosmic Ray does not have: dropping a part of an enumeration, and dropping a call.

Examples are a condition of a query, an entry of a compare-and-set, and a call that takes a lock.
"""

from __future__ import annotations

from typing import Any

import cosmic_ray.plugins
from cosmic_ray.operators.operator import Operator
from parso.python.tree import Keyword
from parso.python.tree import Operator as Token

PROVIDER = "imagefleet"
# Functions that take any number of positional arguments: another would only refuse the call.
VARIADIC = {"where", "and_", "or_", "values", "order_by", "with_for_update", "min", "max"}

Position = tuple[tuple[int, int], tuple[int, int]]


class DropPart(Operator):  # type: ignore[misc]
    """Leaves out a keyword argument, a condition, or an element of a tuple, a list, a set or a dict."""

    def mutation_positions(self, node: Any) -> list[Position]:
        """The positions of the parts of `node`."""
        return [(node.children[begin].start_pos, node.children[end - 1].end_pos) for begin, end in _droppable(node)]

    def mutate(self, node: Any, index: int) -> Any:
        """The node without the part at this index."""
        begin, end = _droppable(node)[index]
        is_tuple = _is_tuple(node)
        del node.children[begin:end]
        if is_tuple and node.children and "," not in node.children:
            node.children.append(Token(",", node.end_pos))
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        """None: Cosmic Ray uses them for its own tests alone."""
        return ()


class DropCall(Operator):  # type: ignore[misc]
    """Drops a call whose result is not used."""

    def mutation_positions(self, node: Any) -> list[Position]:
        """The position of the statement if it is such a call."""
        if node.type == "simple_stmt" and node.children[0].type == "atom_expr":
            return [(node.children[0].start_pos, node.children[0].end_pos)]
        return []

    def mutate(self, node: Any, index: int) -> Any:
        """The statement, with `pass` in place of the call."""
        call = node.children[0]
        node.children[0] = Keyword("pass", call.start_pos, call.get_first_leaf().prefix)
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        """None: Cosmic Ray uses them for its own tests alone."""
        return ()


OPERATORS: dict[str, type[Operator]] = {"DropPart": DropPart, "DropCall": DropCall}


def install() -> None:
    """Add these operators to those of Cosmic Ray, in this process. Cosmic Ray itself expects an installed distribution."""
    cosmic_ray.plugins.OPERATOR_PROVIDERS[PROVIDER] = OPERATORS


def _droppable(node: Any) -> list[tuple[int, int]]:
    """The parts of `node` that can be dropped, each with the comma behind it, as ranges of its children."""
    if node.type == "trailer" and node.children[0] == "(" and len(node.children) == 3:
        only = node.children[1]
        return [(1, 2)] if only.type != "arglist" and _is_droppable_argument(node, only) else []
    if node.type == "arglist" and node.parent.type == "trailer":
        return [part for part in _parts(node) if _is_droppable_argument(node.parent, node.children[part[0]])]
    if (
        _is_tuple(node)
        or node.type == "dictorsetmaker"
        or (node.type == "testlist_comp" and node.parent.type == "atom")
    ):
        return _parts(node) if not any(child.type in {"comp_for", "sync_comp_for"} for child in node.children) else []
    return []


def _parts(node: Any) -> list[tuple[int, int]]:
    commas = [index for index, child in enumerate(node.children) if child == ","]
    begins = [0, *(comma + 1 for comma in commas)]
    ends = [*(comma + 1 for comma in commas), len(node.children)]
    return [(begin, end) for begin, end in zip(begins, ends, strict=True) if begin < end]


def _is_tuple(node: Any) -> bool:
    return (
        node.type == "testlist_comp"
        and node.parent.type == "atom"
        and node.parent.children[0] == "("
        and ("," in node.children)
    )


def _is_droppable_argument(trailer: Any, argument: Any) -> bool:
    if argument.type == "argument":
        return argument.children[0] in ("*", "**") or argument.children[1] == "="
    return trailer.get_previous_leaf().value in VARIADIC
