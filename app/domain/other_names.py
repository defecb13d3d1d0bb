"""What other services call the fields of a request."""

from collections.abc import Mapping

# The field that is meant by what other services call it.
OTHER_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("size", "resolution"), "parameters.width and parameters.height, such as 1024 and 1024"),
    **dict.fromkeys(
        ("n", "num_images", "numImages", "num_outputs", "number_of_images", "numberOfImages", "batch_size"),
        "parameters.numberOfImages",
    ),
    **dict.fromkeys(("negative_prompt", "negativePrompt"), "parameters.negativePrompt"),
    **{name: f"parameters.{name}" for name in ("width", "height", "quality", "seed", "steps")},
    **dict.fromkeys(("user", "user_id"), "userId"),
    **dict.fromkeys(("deadline", "deadline_ms", "timeout"), "deadlineMs"),
}
OTHER_FIELDS = "Options of a generator belong into parameters."


def hint(name: str) -> str:
    """A sentence that says where a field of this name belongs."""
    known = OTHER_NAMES.get(name)
    return f"Use {known}." if known else OTHER_FIELDS
