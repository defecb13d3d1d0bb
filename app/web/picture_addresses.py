"""The addresses of pictures and thumbnails in answers."""

from dataclasses import dataclass
from typing import Literal, Self

from flask import current_app

from app.domain.images import Rendition, rendition_name
from app.services.generation import IMAGES_PATH
from app.services.picture_grants import PictureGrants
from app.web.public_url import public_url

Thumbnails = dict[Literal["256", "1024"], str]  # addresses by the most px of the longer side


@dataclass(frozen=True, slots=True)
class PictureAddresses:
    """Makes addresses; `base` is where this service is reached."""

    base: str
    grants: PictureGrants

    @classmethod
    def here(cls) -> Self:
        """Those for the answer to the current HTTP request."""
        return cls(public_url(""), current_app.extensions["services"].picture_grants)

    def of(self, name: str, picture_format: str = "png") -> str:
        """The address of a picture in this format, signed where only signed ones are served."""
        query = [self.grants.query(name)] if self.grants.required else []
        if picture_format != "png":
            query.append(f"format={picture_format}")
        return self.base + IMAGES_PATH + name + ("?" + "&".join(query) if query else "")

    def signed(self, name: str) -> str:
        """The signed address of a picture."""
        return f"{self.base}{IMAGES_PATH}{name}?{self.grants.query(name)}"

    def thumbnails(self, name: str) -> Thumbnails:
        """The addresses of a picture's thumbnails; signed where only such are served."""
        query = f"?{self.grants.query(name)}" if self.grants.required else ""
        return {
            "256": f"{self.base}{IMAGES_PATH}{rendition_name(name, Rendition.SMALL)}{query}",
            "1024": f"{self.base}{IMAGES_PATH}{rendition_name(name, Rendition.LARGE)}{query}",
        }
