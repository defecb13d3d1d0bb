"""The text of an upload, decoded piece by piece, and its lines, none of which is longer than allowed."""

import codecs
from collections.abc import Iterable, Iterator

from app.domain.errors import InvalidBatch

_NEW_DECODER = codecs.getincrementaldecoder("utf-8-sig")


def decoded(chunks: Iterable[bytes]) -> Iterator[str]:
    """The text of UTF-8 with or without a byte order mark. Raises InvalidBatch."""
    decoder, line = _NEW_DECODER(), 1
    try:
        for chunk in chunks:
            text = decoder.decode(chunk)
            line += text.count("\n")
            yield text
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        line += error.object[: error.start].count(b"\n")
        raise InvalidBatch(f"Line {line:,} is not valid UTF-8: save the file as UTF-8.") from None


def lines(pieces: Iterable[str], most: int) -> Iterator[str]:
    """The lines without their ends, which are LF or CRLF. Raises InvalidBatch for one of more than `most` characters.

    Of a line that does not end, no more than that is kept.
    """
    rest, number = "", 0
    for piece in pieces:
        *ended, rest = (rest + piece).split("\n")
        for line in ended:
            number += 1
            _check_length(line, number, most)
            yield line.removesuffix("\r")
        _check_length(rest, number + 1, most)
    if rest:
        yield rest.removesuffix("\r")


def _check_length(line: str, number: int, most: int) -> None:
    if len(line) > most:
        raise InvalidBatch(f"Line {number:,} is longer than the {most:,} characters that an item may have.")
