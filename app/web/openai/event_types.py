"""What the types of a stream's events begin with."""

from typing import Literal

Kind = Literal["image_generation", "image_edit"]
GENERATION: Kind = "image_generation"
EDIT: Kind = "image_edit"
