"""Uploads of batches: what each format may contain, and tables of what it may not."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.batch_formats import READERS, check_items, read_json
from app.domain.batch_items import ItemCollector
from app.domain.batches import ERRORS_LISTED, BatchItem
from app.domain.errors import InvalidBatch, Refusal
from app.domain.fair_queueing import Priority
from app.domain.upload_text import decoded

MOST_ITEMS = 10_000
LONGEST = 131_072
MIB = 2**20
OTHERS = frozenset({"name", "defaults"})
NDJSON, CSV, TEXT, JSON = "application/x-ndjson", "text/csv", "text/plain", "application/json"
ITEM = {"prompt": "a red fox"}


def read(kind: str, chunks: Iterable[bytes], most: int = MOST_ITEMS) -> ItemCollector:
    """What the reader of this format collects."""
    collector = ItemCollector(most, "item" if kind == JSON else "line")
    if kind == JSON:
        read_json(decoded(chunks), LONGEST, collector, OTHERS)
    else:
        READERS[kind](decoded(chunks), LONGEST, collector)
    return collector


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def items(kind: str, text: str) -> list[BatchItem]:
    collector = read(kind, [text.encode()])
    assert not collector.errors
    return collector.items


def reasons(kind: str, data: bytes) -> list[tuple[int, str | None, str]]:
    """The line, the field and the reason of each error."""
    return [(each.line, each.field, each.reason) for each in read(kind, [data]).errors]


FOX = BatchItem("a red fox", "p1", "flux-2", {"width": 64, "seed": 7}, {"light": "dusk"}, Priority.LOW, 30, 1)
SAME = {
    "json": (
        JSON,
        (
            '{"items": [{"customId": "p1", "prompt": "a red fox", "model": "flux-2", "priority": "low", "keep": 30,'
            ' "parameters": {"width": 64, "seed": 7}, "variables": {"light": "dusk"}}]}'
        ),
        1,
    ),
    "ndjson": (
        NDJSON,
        (
            '{"customId": "p1", "prompt": "a red fox", "model": "flux-2", "priority": "low", "keep": 30,'
            ' "parameters": {"width": 64, "seed": 7}, "variables": {"light": "dusk"}}'
        ),
        1,
    ),
    "csv": (
        CSV,
        "customId,prompt,model,priority,keep,param.width,param.seed,var.light\np1,a red fox,flux-2,low,30,64,7,dusk\n",
        2,
    ),
}


@pytest.mark.parametrize(("kind", "text", "line"), SAME.values(), ids=SAME)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["no mark", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_an_item_is_the_same_in_every_format(kind: str, text: str, line: int, mark: str, end: str) -> None:
    [found] = items(kind, mark + text.replace("\n", end))
    assert found.line == line
    assert [getattr(found, name) for name in BatchItem.__slots__ if name != "line"] == [
        getattr(FOX, name) for name in BatchItem.__slots__ if name != "line"
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            JSON,
            '{"name": "ünï 🦊", "items": [{"prompt": "a \\"red\\" 🦊\\ud83e\\udd8a"}, {"prompt": "b", "parameters": {"n": 12.5e1}}], "defaults": {}}',
        ),
        (NDJSON, '{"prompt": "a 🦊"}\r\n\r\n{"prompt": "b", "customId": "ü"}'),
        (CSV, 'prompt,customId\r\n"a ""red"", big\r\n🦊",1\r\n\r\n,\r\nb,"2"'),
        (TEXT, "# prompts\r\n\r\na 🦊\r\n  b  \r\n#c"),
    ],
    ids=["json", "ndjson", "csv", "text"],
)
def test_it_makes_no_difference_how_an_upload_is_cut_into_pieces(kind: str, text: str, size: int) -> None:
    whole, cut = read(kind, [text.encode()]), read(kind, pieces(text.encode(), size))
    assert len(whole.items) == 2
    assert cut.items == whole.items


@settings(deadline=None, max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=12,
    ),
    st.integers(1, 9),
    st.booleans(),
)
def test_any_json_value_is_read_as_it_is_written_however_it_is_cut(value: object, size: int, spaced: bool) -> None:
    text = json.dumps({"defaults": value, "items": [], "name": value}, indent=1 if spaced else None)
    found = read_json(decoded(pieces(text.encode(), size)), LONGEST, ItemCollector(1), OTHERS)
    assert found == {name: value for name in OTHERS if value is not None}


def test_a_text_has_one_prompt_a_line_besides_comments_and_empty_lines() -> None:
    text = "# chapter 1\n\n  a lighthouse \n\t\n#a crow\na crow # black\n"
    assert [(each.line, each.prompt) for each in items(TEXT, text)] == [(3, "a lighthouse"), (6, "a crow # black")]


def test_cells_of_a_table_may_contain_commas_quotes_and_line_breaks() -> None:
    [found] = items(CSV, 'prompt\n"a ""red"" fox,\r\nand a crow"\n')
    assert found.prompt == 'a "red" fox,\nand a crow'


def test_empty_cells_and_rows_count_as_absent() -> None:
    found = items(CSV, "prompt,model,param.width\na,,\n,,\n\n , ,\nb,flux-2,64\n")
    assert [(each.line, each.model, each.parameters) for each in found] == [(2, None, {}), (6, "flux-2", {"width": 64})]


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("param.width", "64", 64),
        ("param.seed", "18446744073709551615", 2**64 - 1),
        ("param.guidance", "7.5", 7.5),
        ("param.guidance", "-1e-3", -0.001),
        ("param.hd", "true", True),
        ("param.seed", "007", "007"),
        ("param.seed", "1e999", "1e999"),
        ("param.sampler", "euler a", "euler a"),
        ("param.quality", "1", "1"),
        ("param.negativePrompt", "1", "1"),
        ("param.a.b", "1", 1),
    ],
)
def test_parameters_in_a_table_are_numbers_if_they_are_written_like_numbers(
    column: str, cell: str, value: object
) -> None:
    [found] = items(CSV, f"prompt,{column}\na,{cell}\n")
    assert found.parameters == {column.removeprefix("param."): value}
    assert type(found.parameters[column.removeprefix("param.")]) is type(value)


def test_variables_in_a_table_stay_text() -> None:
    [found] = items(CSV, "prompt,var.page\na,17\n")
    assert found.variables == {"page": "17"}


# What is wrong with one item, by format: the data, and for each error its line, its field and a part of its reason.
WRONG_ITEMS = {
    "no prompt": (NDJSON, b'{"customId": "a"}\n', [(1, "prompt", "missing")]),
    "a null prompt": (NDJSON, b'{"prompt": null}\n', [(1, "prompt", "missing")]),
    "a blank prompt": (NDJSON, b'{"prompt": " \\u200b "}\n', [(1, "prompt", "empty")]),
    "a long prompt": (TEXT, b"x" * 8_001, [(1, "prompt", "8,001 characters")]),
    "a NUL in a text": (TEXT, b"a fox\nred \0 fox\n", [(2, "prompt", "U+0000")]),
    "a NUL in a table": (CSV, b"prompt\nred \0 fox\n", [(2, "prompt", "U+0000")]),
    "a NUL in a line of JSON": (NDJSON, b'{"prompt": "red \0 fox"}', [(1, None, "not valid JSON")]),
    "an escaped NUL": (NDJSON, b'{"prompt": "red \\u0000 fox"}', [(1, "prompt", "U+0000")]),
    "a lone surrogate in a prompt": (NDJSON, b'{"prompt": "\\ud83e"}', [(1, "prompt", "lone surrogate")]),
    "a lone surrogate in an id": (NDJSON, b'{"prompt": "a", "customId": "\\ud83e"}', [(1, "customId", "lone surrogate")]),
    "a lone surrogate in a parameter": (NDJSON, b'{"prompt": "a", "parameters": {"a": ["\\ud83e"]}}', [(1, "parameters.a", "surrogate")]),
    "a lone surrogate as a variable": (NDJSON, b'{"prompt": "a", "variables": {"a": "\\ud83e"}}', [(1, "variables.a", "surrogate")]),
    "a lone surrogate as a field": (NDJSON, b'{"prompt": "a", "\\ud83e": 1}', [(1, "'\\ud83e'…", "unknown field")]),
    "a number as an id": (NDJSON, b'{"prompt": "a", "customId": 17}', [(1, "customId", "must be a string")]),
    "an id of 10 KB": (NDJSON, b'{"prompt": "a", "customId": "%s"}' % (b"k" * 10_000), [(1, "customId", "128 characters")]),
    "an empty id": (NDJSON, b'{"prompt": "a", "customId": ""}', [(1, "customId", "1 to 128")]),
    "a blank id": (NDJSON, b'{"prompt": "a", "customId": " "}', [(1, "customId", "blank")]),
    "an id with a line break": (CSV, b'prompt,customId\na,"1\n2"', [(2, "customId", "line break")]),
    "input pictures": (NDJSON, b'{"prompt": "a", "inputImages": []}', [(1, "inputImages", "cannot be made from input pictures.")]),
    "a webhook of an item": (NDJSON, b'{"prompt": "a", "webhook": {}}', [(1, "webhook", "It belongs beside items")]),
    "what belongs into defaults": (NDJSON, b'{"prompt": "a", "cache": "only"}', [(1, "cache", "It belongs into defaults")]),
    "a field of 10 KB": (NDJSON, b'{"prompt": "a", "%s": 1}' % (b"k" * 10_000), [(1, f"'{'k' * 60}'…", "unknown field")]),
    "a parameter of 10 KB": (NDJSON, b'{"prompt": "a", "variables": {"%s": "x"}}' % (b"k" * 10_000), [(1, "variables", "name")]),
    "a field of another service": (NDJSON, b'{"prompt": "a", "width": 64}', [(1, "width", "Use parameters.width")]),
    "a field twice": (NDJSON, b'{"prompt": "a", "prompt": "b"}', [(1, None, "twice: prompt")]),
    "width as text": (CSV, b"prompt,param.width\na,wide\n", [(2, "parameters.width", "whole number")]),
    "width out of bounds": (CSV, b"prompt,param.width\na,1\n", [(2, "parameters.width", "16")]),
    "several fields": (
        NDJSON,
        b'{"model": "", "priority": "urgent", "parameters": 7}',
        [(1, "prompt", "missing"), (1, "model", "model"), (1, "priority", "one of"), (1, "parameters", "object")],
    ),
    "a number": (NDJSON, b"7", [(1, None, "JSON object")]),
    "a list": (NDJSON, b'["a red fox"]', [(1, None, "JSON object")]),
    "a text as an item": (JSON, b'{"items": ["a red fox"]}', [(1, None, "JSON object")]),
    "half a line": (NDJSON, b'{"prompt": "a"}\n{"prompt": \n{"prompt": "b"}', [(2, None, "not valid JSON")]),
    "two objects in a line": (NDJSON, b'{"prompt": "a"} {"prompt": "b"}', [(1, None, "not valid JSON")]),
    "NaN": (NDJSON, b'{"prompt": "a", "parameters": {"a": NaN}}', [(1, None, "not valid JSON")]),
    "a number of 5,000 digits": (NDJSON, b'{"prompt": "a", "parameters": {"a": %s}}' % (b"9" * 5_000), [(1, None, "JSON")]),
    "a bomb of lists": (NDJSON, b'{"prompt": "a", "parameters": {"a": %s}}' % (b"[" * 100_000), [(1, None, "nested")]),
    "nine levels": (
        NDJSON,
        b'{"prompt": "a", "parameters": {"a": %s}}' % (b"[" * 9 + b"]" * 9),
        [(1, "parameters.a", "nested")],
    ),
    "a short row": (CSV, b"prompt,model,priority\na,flux-2\n", [(2, None, "2 cells and the header 3")]),
    "a long row": (CSV, b"prompt,model\na red fox, and a crow,flux-2\n", [(2, None, "3 cells and the header 2")]),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "data", "expected"), WRONG_ITEMS.values(), ids=WRONG_ITEMS)
def test_an_item_is_rejected_with_its_line_and_field(
    kind: str, data: bytes, expected: list[tuple[int, str | None, str]]
) -> None:
    found = reasons(kind, data)
    assert [each[:2] for each in found] == [each[:2] for each in expected]
    for (_, _, reason), (_, _, part) in zip(found, expected, strict=True):
        assert part in reason
        assert len(reason) < 400


def test_an_id_that_is_used_twice_names_both_places() -> None:
    lines = [json.dumps({**ITEM, "customId": each}) for each in "abab"]
    collector = read(NDJSON, ["\n".join(lines).encode()])
    assert [(each.line, each.custom_id, each.field) for each in collector.errors] == [
        (3, "a", "customId"),
        (4, "b", "customId"),
    ]
    assert "line 1 and in line 3" in collector.errors[0].reason
    listed = read(JSON, [json.dumps({"items": [{**ITEM, "customId": "a"}] * 2}).encode()])
    assert "item 1 and in item 2" in listed.errors[0].reason


def test_errors_are_counted_beyond_those_that_are_listed() -> None:
    collector = read(TEXT, [b"\0\n" * 150 + b"a red fox\n"])
    assert (len(collector.errors), collector.rejected, collector.total) == (ERRORS_LISTED, 150, 151)
    with pytest.raises(InvalidBatch, match="150 of 151 items are invalid") as refused:
        check_items(collector, partial=False)
    assert refused.value.errors == collector.errors
    check_items(collector, partial=True)


# What makes an upload unreadable as a whole: the data, and a part of the reason.
UNREADABLE = {
    "an open quotation mark": (CSV, b'prompt\na\n"b\nc\n', "line 3 cannot be read: its last quotation mark is missing"),
    "text after a quotation mark": (CSV, b'prompt\na\n"b"c\n', "line 3 cannot be read: a cell goes on"),
    "a quotation mark that swallows the rest": (CSV, b'prompt\n"a\n' + b"b\n" * 100_000, "line 2 is longer than"),
    "an unknown column": (CSV, b"prompt,lens\na,b\n", "unknown columns: lens. There are customId, prompt, model, priority"),
    "columns of 10 KB": (CSV, b"prompt,%s\na,b\n" % (b"k" * 10_000), "unknown columns: 'kkk"),
    "a column of another service": (CSV, b"prompt,width\na,64\n", "Use param.width"),
    "a column in other letters": (CSV, b"Prompt\na\n", "Write prompt"),
    "semicolons": (CSV, b"prompt;model\na;b\n", "separated by commas, not by semicolons"),
    "tabs": (CSV, b"prompt\tmodel\na\tb\n", "not by tabs"),
    "a column twice": (CSV, b"prompt,model, prompt\na,b,c\n", "twice: prompt"),
    "no prompt column": (CSV, b"customId,model\na,b\n", "no column prompt"),
    "a column without a name": (CSV, b"prompt,\na,\n", "unknown columns: one without a name"),
    "a parameter without a name": (CSV, b"prompt,param.\na,\n", "unknown columns: param."),
    "many columns": (CSV, b"prompt" + b",x%d" * 0 + b"".join(b",x%d" % n for n in range(5_000)) + b"\n", "and 4990 more"),
    "an empty table": (CSV, b"", "is empty"),
    "a table of blank lines": (CSV, b"\n\n", "is empty"),
    "no UTF-8": (TEXT, "a\nün fox".encode("latin-1"), "Line 2 is not valid UTF-8"),
    "UTF-16": (TEXT, "a red fox".encode("utf-16"), "Line 1 is not valid UTF-8"),
    "an encoded surrogate": (TEXT, b"a\nb\n\xed\xa0\x80", "Line 3 is not valid UTF-8"),
    "half a character": (TEXT, b"a\nb \xf0\x9f", "Line 2 is not valid UTF-8"),
    "too many items": (TEXT, b"a\n" * 10_001, "more than 10,000 items"),
    "too many items, all invalid": (NDJSON, b"7\n" * 10_001, "more than 10,000 items"),
    "a long line": (TEXT, b"x" * (LONGEST + 1), "Line 1 is longer than the 131,072 characters"),
    "a list as JSON": (JSON, b'[{"prompt": "a"}]', "must be a JSON object"),
    "nothing as JSON": (JSON, b"", "must be a JSON object"),
    "JSON that ends early": (JSON, b'{"items": [{"prompt": "a"}', "in items, item 1 (line 1)"),
    "JSON with a broken item": (JSON, b'{"items": [{"prompt": "a"},\n{"prompt": b}]}', "in items, item 2 (line 2)"),
    "JSON with a comma too many": (JSON, b'{"items": [{"prompt": "a"},]}', "in items, item 2"),
    "JSON and more": (JSON, b'{"items": []} {}', "not valid JSON"),
    "JSON without a colon": (JSON, b'{"items" []}', "not valid JSON in items"),
    "JSON with a number as a name": (JSON, b"{7: []}", "not valid JSON"),
    "no items as JSON": (JSON, b'{"name": "a"}', "items is missing"),
    "items twice": (JSON, b'{"items": [], "items": []}', "twice: items"),
    "a field of an item twice": (JSON, b'{"items": [{"prompt": "a", "prompt": "b"}]}', "twice in items, item 1: prompt"),
    "items as an object": (JSON, b'{"items": {}}', "items must be a list"),
    "an unknown field": (JSON, b'{"items": [], "prompts": []}', "unknown field: prompts. There are defaults, items, name"),
    "a name of 10 KB": (JSON, b'{"%s": []}' % (b"k" * 10_000), "unknown field: 'kkk"),
    "a bomb of lists": (JSON, b'{"name": %s' % (b"[" * 1_000_000), "nested too deeply in name"),
    "a bomb of objects": (JSON, b'{"items": [%s' % (b'{"a":' * 1_000_000), "nested too deeply in items, item 1"),
    "a name that never ends": (JSON, b'{"' + b"k" * 200_000, "more than 131,072 characters"),
    "a value that never ends": (JSON, b'{"name": "' + b"k" * 200_000, "more than 131,072 characters in name"),
    "an item that is too long": (JSON, b'{"items": [{"prompt": "%s"}]}' % (b"k" * LONGEST), "characters in items, item 1"),
    "a great many values": (
        JSON,
        b'{"items": [%s]}' % b",".join([b'{"prompt": "a", "parameters": {"a": [%s]}}' % b",".join([b"[]"] * 40_000)] * 15),
        "more than 500,000 nested values",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "data", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_upload_that_cannot_be_read_is_refused_with_the_place_and_the_reason(
    kind: str, data: bytes, reason: str
) -> None:
    with pytest.raises(Refusal) as refused:
        read(kind, pieces(data, 65_536))
    assert reason in refused.value.detail
    assert refused.value.status == 400
    assert len(refused.value.detail) < 500


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (TEXT, b""),
        (TEXT, b"\xef\xbb\xbf"),
        (TEXT, b"# one\n#two\n\n"),
        (NDJSON, b"\n\r\n  \n"),
        (CSV, b"prompt\n"),
        (CSV, b"prompt,model\n,\n"),
        (JSON, b'{"items": []}'),
    ],
)
def test_a_batch_without_items_is_refused(kind: str, data: bytes) -> None:
    collector = read(kind, [data])
    for part in (False, True):
        with pytest.raises(InvalidBatch, match="no items"):
            check_items(collector, partial=part)


def test_a_part_of_a_batch_is_no_batch_if_nothing_in_it_is_valid() -> None:
    with pytest.raises(InvalidBatch, match="2 of 2 items"):
        check_items(read(NDJSON, [b"7\n8\n"]), partial=True)


BEGINNINGS = {JSON: b'{"items": [{"prompt": "', NDJSON: b'{"prompt": "', CSV: b'prompt\n"', TEXT: b""}


@pytest.mark.parametrize(("kind", "beginning"), BEGINNINGS.items(), ids=BEGINNINGS)
def test_a_line_of_two_gigabytes_is_refused_after_a_few_pieces_without_being_kept(kind: str, beginning: bytes) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield beginning
        for piece in repeat(b"x" * 65_536, 2**31 // 65_536):
            taken += 1
            yield piece

    tracemalloc.start()
    try:
        with pytest.raises(Refusal, match="131,072 characters"):
            read(kind, endless())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken <= 4
    assert peak < 2 * MIB


# Reads an upload of 20 MiB or MOST_ITEMS items in a process of its own and prints by how many MiB that has grown.
GROWTH = """
import sys
from itertools import repeat
from typing import Any
from pathlib import Path
from app.domain.batch_formats import read_json
from app.domain.batch_items import ItemCollector
from app.domain.errors import InvalidBatch
from app.domain.upload_text import decoded

def peak():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)

def upload(item):
    yield b'{"items": ['
    yield from repeat(item + b",", min(10_000, 20 * 2**20 // (len(item) + 1)) - 1)
    yield item + b"]}"

item, before = sys.stdin.buffer.read(), peak()
collector = ItemCollector(10_000)
try:
    read_json(decoded(upload(item)), 131_072, collector, frozenset())
except InvalidBatch as refused:
    assert "nested values" in refused.detail
assert collector.total
print((peak() - before) // 1024)
"""


def slow(item: bytes, mib: int) -> Any:
    """A case that takes tens of seconds, since it is parsed value by value."""
    return pytest.param(item, mib, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("item", "mib"),
    [
        (b'{"prompt": "%s"}' % (b"x" * 2_000), 60),
        (b'{"prompt": 7, "parameters": {"a": [%s]}}' % b",".join([b"[]"] * 40_000), 60),
        slow(b'{"prompt": "a", "parameters": {%s}}' % b",".join(b'"p%d": {}' % n for n in range(49)), 150),
        slow(b'{"prompt": "a", "variables": {%s}}' % b",".join(b'"v%d": "aa"' % n for n in range(32)), 60),
        slow(b'{"prompt": "a", "parameters": {"a": [%s]}}' % b",".join([b"[]"] * 49), 60),
    ],
    ids=["long prompts", "long and invalid items", "empty objects", "many variables", "empty lists"],
)
def test_the_memory_for_an_upload_of_20_mib_is_bounded(item: bytes, mib: int) -> None:
    done = subprocess.run([sys.executable, "-c", GROWTH], input=item, capture_output=True, check=True)
    assert int(done.stdout) < mib


def test_ten_thousand_items_are_taken() -> None:
    assert len(read(TEXT, [b"a\n" * MOST_ITEMS]).items) == MOST_ITEMS


def test_the_number_of_items_is_a_setting() -> None:
    with pytest.raises(InvalidBatch, match="more than 2 items"):
        read(TEXT, [b"a\nb\nc\n"], most=2)


def test_other_members_of_the_object_may_stand_before_and_after_the_items() -> None:
    collector = ItemCollector(9)
    text = b'\xef\xbb\xbf {"name": "a", "items": [{"prompt": "x"}], "defaults": {"model": "m"}} \n'
    assert read_json(decoded([text]), LONGEST, collector, OTHERS) == {"name": "a", "defaults": {"model": "m"}}
    assert len(collector.items) == 1
    assert read_json(decoded([b'{"name": null, "items": []}']), LONGEST, collector, OTHERS) == {}
