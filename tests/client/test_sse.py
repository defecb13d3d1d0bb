"""Reading Server-Sent Events as the HTML standard defines it, however the bytes are split."""

from __future__ import annotations

import pytest

from imagefleet.errors import BadAnswer
from imagefleet.sse import MAX_LINE_BYTES, Message, messages

WHOLE = "\ufeffid: 1\nevent: one\ndata: first\ndata:second\n\n: a comment\r\ndata: zwölf\r\rid: 3\revent: x\r\r\ndata\n\ndata: cut"
READ = [Message("one", "first\nsecond", "1"), Message("message", "zwölf", None), Message("message", "", None)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_stream_reads_the_same_however_it_is_split(size: int) -> None:
    data = WHOLE.encode()
    assert list(messages(data[at : at + size] for at in range(0, len(data), size))) == READ


def test_an_id_that_contains_nul_is_ignored() -> None:
    assert list(messages([b"id: a\0b\ndata: x\n\n"])) == [Message("message", "x", None)]


def test_invalid_utf_8_does_not_end_the_stream() -> None:
    assert next(messages([b"data: \xff\n\n"])).data == "\ufffd"


def test_an_endless_line_is_not_buffered() -> None:
    with pytest.raises(BadAnswer):
        list(messages([b"data: "] + [b"x" * 65_536] * (MAX_LINE_BYTES // 65_536 + 1)))
