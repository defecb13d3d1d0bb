"""Lists of prompts: what is sent, and what is said of those that cannot be read."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from imagefleet.batching.lists import ListError, PromptList, read_list
from imagefleet.models import ItemError


def read(folder: Path, name: str, content: str | bytes, chosen: str | None = None) -> PromptList:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_list(str(path), chosen)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "text/plain"),
        ("a.CSV", "text/csv"),
        ("a.jsonl", "application/x-ndjson"),
        ("a.ndjson", "application/x-ndjson"),
    ],
)
def test_what_the_server_reads_is_sent_as_it_is(tmp_path: Path, name: str, kind: str) -> None:
    listed = read(tmp_path, name, b"\xef\xbb\xbfone\r\n\xff")
    assert (listed.content, listed.content_type) == (b"\xef\xbb\xbfone\r\n\xff", kind)


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    document: dict[str, Any] = {
        "name": "chapter 3",
        "concurrency": 2,
        "defaults": {"style": "noir", "parameters": {"width": 1024}},
        "items": ["A lighthouse", {"customId": "p2", "prompt": "Dusk", "parameters": {"seed": 7, "tiles": [1, 2]}}],
    }
    text = """
name: chapter 3
concurrency: 2
defaults: {style: noir, parameters: {width: 1024}}
items:
  - A lighthouse
  - customId: p2
    prompt: Dusk
    parameters:
      seed: 7
      tiles: [1, 2]
"""
    as_yaml, as_json = read(tmp_path, "a.yaml", text), read(tmp_path, "a.json", json.dumps(document))
    assert (as_yaml.items, as_yaml.fields) == (as_json.items, as_json.fields)
    assert as_yaml.items == [{"prompt": "A lighthouse"}, document["items"][1]]
    assert as_yaml.lines == [6, 7]


def test_text_in_yaml_is_taken_as_it_is_written(tmp_path: Path) -> None:
    text = """
- yes
- 2026-12-01
- &all {prompt: no, customId: 007, variables: {light: 5}, parameters: {hd: yes, steps: 30, quality: "007"}}
- <<: *all
  customId: 1e3
"""
    items = read(tmp_path, "a.yml", text).items
    parameters = {"hd": True, "steps": 30, "quality": "007"}
    same = {"prompt": "no", "variables": {"light": "5"}, "parameters": parameters}
    assert items[:2] == [{"prompt": "yes"}, {"prompt": "2026-12-01"}]
    assert items[2:] == [{**same, "customId": "007"}, {**same, "customId": "1e3"}]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.yaml", "- one\n- [", "line 2: this is not valid YAML"),
        ("a.yaml", "- one\n- prompt: a\n  prompt: b", "line 3: the field prompt is there twice"),
        ("a.yaml", "- prompt: a\n  parameters: {since: 2026-12-01}", "line 2: 2026-12-01 is read as a date"),
        ("a.yaml", "- prompt: a\n  parameters: {x: .inf}", "line 2: .inf is no number"),
        ("a.yaml", "- &a [*a]", "line 1: it is nested too deeply"),
        ("a.yaml", "- !!python/object/apply:os.system [ls]", "line 1 (item 1)"),
        ("a.yaml", "- {1: a, [b]: c}", "line 1: the name of a field must be text"),
        ("a.yaml", "- one\n- \x07", "line 2: the character #x0007 may not be there"),
        ("a.yaml", "", "it must be a list of prompts"),
        ("a.yaml", "- [a]", "line 1 (item 1): it must be a prompt"),
        ("a.json", '["a",\n}', "line 2: this is not valid JSON"),
        ("a.json", '[{"prompt": "a", "prompt": "b"}]', "an object has the field prompt twice"),
        ("a.json", "[" * 100_000, "line 1: it is nested too deeply"),
        ("a.json", '{"items": ["a"], "styles": "noir"}', "the field styles is unknown"),
        ("a.json", '{"items": ["a"], "concurrency": true}', "concurrency must be a whole number"),
        ("a.json", b'["a",\n"\xff"]', "line 2: this is not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, name: str, content: str | bytes, problem: str
) -> None:
    with pytest.raises(ListError) as caught:
        read(tmp_path, name, content)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_the_format_is_asked_for_where_the_name_does_not_tell_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ListError, match="--format"):
        read(tmp_path, "prompts", "one")
    assert read(tmp_path, "prompts", "one", "txt").content_type == "text/plain"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"- one")))
    with pytest.raises(ListError, match="stdin"):
        read_list("-")
    assert read_list("-", "yaml").items == [{"prompt": "one"}]


def test_errors_of_the_server_have_the_place_in_the_file(tmp_path: Path) -> None:
    error = ItemError.read({"line": 2, "field": "prompt", "reason": "It is too long."})
    named = ItemError.read({"line": 2, "field": "parameters.width", "reason": "parameters.width is too small."})
    table, listed = read(tmp_path, "a.csv", "prompt\n"), read(tmp_path, "a.yaml", "- one\n\n- two")
    plain = read(tmp_path, "a.json", '["one", "two"]')
    assert table.describe(error) == f"{tmp_path / 'a.csv'}, line 2: prompt: It is too long."
    assert listed.describe(named) == f"{tmp_path / 'a.yaml'}, line 3 (item 2): parameters.width is too small."
    assert plain.describe(named) == f"{tmp_path / 'a.json'}, item 2: parameters.width is too small."
