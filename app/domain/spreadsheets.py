"""Cells that spreadsheet programs show as they are."""

# A cell that begins with one of these is taken for a formula, which may send the sheet's contents elsewhere.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(value: object) -> str:
    """The value as text that is no formula: what looks like one begins with an apostrophe. None is empty."""
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.lstrip(" ").startswith(_FORMULA) else text
