"""Lists in YAML. What has to be text is taken as it is written: `prompt: yes` and `customId: 007` need no quotes."""

from __future__ import annotations

import math
from contextlib import closing
from typing import Any

import yaml

_TEXTS = frozenset({"prompt", "customId", "model", "style", "priority", "name", "userId"})
_DEEPEST = 50


def read_yaml(text: str) -> tuple[Any, list[int]]:
    """The document, and in which line each item of its list begins. Raises ValueError, which names the line."""
    try:
        with closing(_Loader(text)) as loader:
            root = loader.get_single_node()
            return (None, []) if root is None else (_document(loader, root), _lines(root))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise ValueError(f"line {line:,}: this is not valid YAML: {error.problem or error.context}.") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ValueError(f"line {line:,}: the character #x{ord(text[error.position]):04x} may not be there.") from None


class _Loader(yaml.SafeLoader):
    """Is closed as files are."""

    def close(self) -> None:
        """Forget the document."""
        self.dispose()


def _lines(root: yaml.Node) -> list[int]:
    items: Any = root
    if isinstance(root, yaml.MappingNode):
        items = next((value for key, value in root.value if key.value == "items"), None)
    return [each.start_mark.line + 1 for each in items.value] if isinstance(items, yaml.SequenceNode) else []


def _document(loader: yaml.SafeLoader, root: yaml.Node) -> Any:
    if isinstance(root, yaml.SequenceNode):
        return _items(loader, root)
    if not isinstance(root, yaml.MappingNode):
        return _value(loader, root)
    return {
        name: _items(loader, value)
        if name == "items" and isinstance(value, yaml.SequenceNode)
        else _field(loader, name, value)
        for name, value in _pairs(loader, root)
    }


def _items(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    return [_value(loader, each, is_text=True) for each in node.value]


def _field(loader: yaml.SafeLoader, name: str, node: yaml.Node, depth: int = 0) -> Any:
    if name == "variables" and isinstance(node, yaml.MappingNode):
        return {each: _value(loader, value, is_text=True) for each, value in _pairs(loader, node)}
    if name == "parameters" and isinstance(node, yaml.MappingNode):
        return {each: _value(loader, value) for each, value in _pairs(loader, node)}
    return _value(loader, node, is_text=name in _TEXTS, depth=depth + 1)


def _value(loader: yaml.SafeLoader, node: yaml.Node, *, is_text: bool = False, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise _wrong(node, "it is nested too deeply")
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, each, depth=depth + 1) for each in node.value]
    if isinstance(node, yaml.MappingNode):
        return {name: _field(loader, name, value, depth) for name, value in _pairs(loader, node)}
    return _scalar(loader, node, is_text)


def _pairs(loader: yaml.SafeLoader, node: yaml.MappingNode) -> list[tuple[str, yaml.Node]]:
    """The fields of a mapping, those first that `<<` takes from elsewhere."""
    named: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _wrong(key, "the name of a field must be text")
        if key.value in named:
            raise _wrong(key, f"the field {key.value} is there twice")
        named.add(key.value)
    loader.flatten_mapping(node)
    return [(key.value, value) for key, value in node.value]


def _scalar(loader: yaml.SafeLoader, node: yaml.Node, is_text: bool) -> Any:
    value = loader.construct_object(node)
    if value is None or isinstance(value, str):
        return value
    if is_text:
        return node.value
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong(node, f"{node.value} is no number that can be sent")
    if isinstance(value, bool | int | float):
        return value
    raise _wrong(node, f"{node.value} is read as a date or as bytes: put it in quotes")


def _wrong(node: yaml.Node, problem: str) -> ValueError:
    return ValueError(f"line {node.start_mark.line + 1:,}: {problem}.")
