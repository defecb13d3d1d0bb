"""Following a batch: each item once as it ends, across faults, in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from itertools import islice
from pathlib import Path

import pytest

from imagefleet import BadAnswer, BatchItem, Client
from tests.support.scripted_batch import BATCH, PATH, ScriptedBatch
from tests.support.scripted_server import CUT, Reply, ScriptedServer

CLIENT = str(Path(__file__).parents[2] / "client")
FOLLOW = """
import json, sys, tracemalloc
from imagefleet import Client
with Client(sys.argv[1]) as client:
    items = client.follow_batch(sys.argv[2])
    indexes = bytearray(int(sys.argv[3]) + 1)
    indexes[next(items).index] += 1
    tracemalloc.start()
    for item in items:
        indexes[item.index] += 1
    print(json.dumps({"once": indexes.count(1), "peak": tracemalloc.get_traced_memory()[1]}))
"""


def numbers(items: list[BatchItem]) -> list[int]:
    return [item.index for item in items]


def test_what_has_ended_is_returned_at_first_and_then_each_item_as_it_ends(
    fleet: Client, scripted: ScriptedServer
) -> None:
    batch = ScriptedBatch(scripted, 4)
    batch.end(3)
    batch.end(1, "failed", code="ERR_TIMEOUT", error="Late.")
    items = fleet.follow_batch(BATCH)
    assert [(item.index, item.status) for item in islice(items, 2)] == [(3, "completed"), (1, "failed")]
    batch.end(2, "cancelled")
    second = next(items)
    assert (second.index, second.status, second.prompt) == (2, "cancelled", "Panel 2")
    batch.end(4)
    assert numbers(list(items)) == [4]


def test_no_item_is_missed_or_returned_twice_when_streams_break(fleet: Client, scripted: ScriptedServer) -> None:
    batch = ScriptedBatch(scripted, 60, cut_every=7, lost=frozenset({20, 41}))
    ending = threading.Thread(target=batch.end_all)
    ending.start()
    found = numbers(list(fleet.follow_batch(BATCH)))
    ending.join()
    assert sorted(found) == list(range(1, 61))


def test_an_item_that_is_tried_again_is_returned_again_when_that_ends(fleet: Client, scripted: ScriptedServer) -> None:
    batch = ScriptedBatch(scripted, 2)
    batch.end(1, "failed")
    items = fleet.follow_batch(BATCH)
    first = next(items)
    batch.retry(1)
    batch.end(1)
    again = next(items)
    assert (first.status, again.status, again.index) == ("failed", "completed", 1)
    assert again.retry_of == first.request_id
    batch.end(2)
    assert numbers(list(items)) == [2]


def test_a_batch_that_ran_twice_is_followed_to_its_real_end(fleet: Client, scripted: ScriptedServer) -> None:
    batch = ScriptedBatch(scripted, 2)
    batch.end_all()
    batch.retry(2)
    items = fleet.follow_batch(BATCH)
    assert next(items).index == 1
    batch.end(2, "failed")
    assert [(item.index, item.status) for item in items] == [(2, "failed")]


def test_the_end_of_a_batch_is_no_fault(fleet: Client, scripted: ScriptedServer) -> None:
    ScriptedBatch(scripted, 3).end_all()
    faults: list[object] = []
    assert len(list(fleet.follow_batch(BATCH, on_retry=lambda error, _: faults.append(error)))) == 3
    assert faults == []


def test_faults_of_lists_are_survived_too(fleet: Client, scripted: ScriptedServer) -> None:
    page = Reply({"items": [{"index": 1, "requestId": "r", "status": "completed"}]})
    scripted.on("GET", f"{PATH}/items", CUT, page, CUT, Reply({"items": []}))
    scripted.on("GET", f"{PATH}/events", CUT, Reply(status=204))
    assert numbers(list(fleet.follow_batch(BATCH))) == [1]


@pytest.mark.parametrize("index", [0, -1, 10**12])
def test_a_number_that_no_item_can_have_is_not_believed(fleet: Client, scripted: ScriptedServer, index: int) -> None:
    page = Reply({"items": [{"index": index, "requestId": "r", "status": "completed"}]})
    scripted.on("GET", f"{PATH}/items", page)
    with pytest.raises(BadAnswer, match="an item with the number"):
        list(fleet.follow_batch(BATCH))


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_many_items_are_followed_in_little_memory(scripted: ScriptedServer, count: int) -> None:
    batch = ScriptedBatch(scripted, count, cut_every=max(100, count // 20))
    ending = threading.Thread(target=batch.end_all)
    ending.start()
    ended = subprocess.run(
        [sys.executable, "-c", FOLLOW, scripted.url, BATCH, str(count)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": CLIENT},
    )
    ending.join()
    found = json.loads(ended.stdout)
    assert found["once"] == count
    assert found["peak"] < 4_000_000  # a page of 200 items, and 8 bytes for each
