"""What is known of an item and of its pictures in the folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from imagefleet.models import ImageRequest, StoredPicture

REMOVED = "The picture was removed from the server."


@dataclass(frozen=True, slots=True)
class SavedPicture:
    """A picture of an item: `file` is its name in the folder, None if it is not there; `problem` says why it never will be."""

    image_path: str
    file: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    problem: str | None = None

    def stored(self) -> StoredPicture:
        """The same for the library."""
        known = {"imagePath": self.image_path, "sha256": self.sha256, "bytes": self.bytes}
        return StoredPicture.read({name: value for name, value in known.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Entry:
    """An item that has ended, and its pictures. Of several requests that tried it, this is the newest that ended."""

    number: int
    request_id: str
    status: str
    custom_id: str | None = None
    prompt: str | None = None
    original_prompt: str | None = None
    model: str | None = None
    seed: int | str | None = None
    code: str | None = None
    error: str | None = None
    reason: str | None = None
    pictures: tuple[SavedPicture, ...] = ()

    @classmethod
    def of(cls, number: int, custom_id: str | None, request: ImageRequest) -> Self:
        """An item that is this request; none of its pictures is in the folder yet."""
        pictures = tuple(
            SavedPicture(each.image_path, None, each.sha256, each.bytes, each.width, each.height)
            for each in request.images
        )
        if request.status == "completed" and not pictures:
            pictures = (SavedPicture("", problem=REMOVED),)
        return cls(
            number=number,
            request_id=request.request_id,
            status=request.status,
            custom_id=custom_id,
            prompt=request.metadata.prompt,
            original_prompt=request.original_prompt,
            model=request.metadata.model,
            seed=request.seed,
            code=request.code,
            error=request.error,
            reason=request.reason,
            pictures=pictures,
        )

    @classmethod
    def read(cls, text: str) -> Self:
        """From what `write` has made. A file that is not in the folder itself is none of its pictures."""
        fields = json.loads(text)
        pictures = (SavedPicture(**each) for each in fields["pictures"])
        inside = tuple(
            each if each.file in (None, Path(each.file or "").name) else replace(each, file=None) for each in pictures
        )
        return cls(**{**fields, "pictures": inside})

    def write(self) -> str:
        """As text, to be kept."""
        return json.dumps(asdict(self))

    def with_pictures(self, pictures: tuple[SavedPicture, ...]) -> Self:
        """The same with other pictures."""
        return replace(self, pictures=pictures)

    @property
    def is_whole(self) -> bool:
        """True if the item is completed, and nothing is missing."""
        return self.status == "completed" and not self.problems

    @property
    def files(self) -> list[str]:
        """The names of its pictures in the folder."""
        return [each.file for each in self.pictures if each.file is not None]

    @property
    def problems(self) -> list[str]:
        """Why pictures are not there."""
        return [each.problem for each in self.pictures if each.problem is not None]

    @property
    def title(self) -> str:
        """The item for people: its number, and its id if it has one."""
        return f"{self.number} ({self.custom_id})" if self.custom_id else str(self.number)

    @property
    def why(self) -> str:
        """Why the item failed, in a sentence; empty if it did not."""
        sentences = [part for part in (self.error, self.reason) if part]
        return " ".join([*sentences, *([f"({self.code})"] if self.code else [])])

    def described(self) -> dict[str, Any]:
        """The entry with the names of the API, as indexes and `--jsonl` have it."""
        made = {"prompt": self.prompt, "model": self.model, "seed": self.seed}
        fields = {
            "index": self.number,
            "customId": self.custom_id,
            "requestId": self.request_id,
            "status": self.status,
            "images": [_described(each) for each in self.pictures] or None,
            "metadata": _known(made),
            "originalPrompt": self.original_prompt,
            "code": self.code,
            "error": self.error,
            "reason": self.reason,
        }
        return _known(fields)


def _described(picture: SavedPicture) -> dict[str, Any]:
    return _known(
        {
            "file": picture.file,
            "imagePath": picture.image_path or None,
            "width": picture.width,
            "height": picture.height,
            "bytes": picture.bytes,
            "sha256": picture.sha256,
            "problem": picture.problem,
        }
    )


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
