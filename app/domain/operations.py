"""What a request asks an extension to do: to make pictures of a text, variations of a picture, or edits of one behind a mask."""

from collections.abc import Iterable
from enum import StrEnum

MARK = "#"  # no name of a model contains it


class Operation(StrEnum):
    """The value is what it adds to the name of a model, so that each model has a queue for each operation."""

    CREATE = ""
    VARIATION = f"{MARK}variation"
    EDIT = f"{MARK}edit"

    @property
    def capability(self) -> str | None:
        """What an extension must announce beside models; None if it needs nothing."""
        return {Operation.VARIATION: "image-variation", Operation.EDIT: "image-edit"}.get(self)

    @property
    def word(self) -> str | None:
        """Its name on the wire; None for the usual one."""
        return self.removeprefix(MARK) or None

    @property
    def what(self) -> str:
        """What is made, for a sentence."""
        return {Operation.VARIATION: "variations", Operation.EDIT: "edits"}.get(self, "pictures")


CAPABILITIES = frozenset(each.capability for each in Operation if each.capability is not None)


def queue_key(model: str, operation: str) -> str:
    """The name of the queue of a model (in any case) and an operation."""
    return model.lower() + operation


def split_key(key: str) -> tuple[str, Operation]:
    """The model and the operation of a queue; of any other text itself, and no operation."""
    model, mark, operation = key.rpartition(MARK)
    known = bool(mark) and mark + operation in frozenset(Operation)
    return (model, Operation(mark + operation)) if known else (key, Operation.CREATE)


def announced(capabilities: Iterable[str]) -> frozenset[Operation]:
    """The operations that an extension with these capabilities does."""
    words = frozenset(capabilities)
    return frozenset(each for each in Operation if each.capability is None or each.capability in words)
