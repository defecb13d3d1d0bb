import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff, later, MOST_MS } from "../../../extension/worker/backoff.js";

const pauses = (backoff, count) => Array.from({ length: count }, () => backoff.next());

test("pauses double up to half a minute", () => {
  const longest = pauses(new Backoff({ random: () => 1 }), 8);
  assert.deepEqual(longest, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

test("chance takes up to half of a pause", () => {
  assert.deepEqual(pauses(new Backoff({ random: () => 0 }), 3), [500, 1_000, 2_000]);
});

test("no pause is longer than half a minute, however long it goes on", () => {
  const backoff = new Backoff();
  assert.ok(pauses(backoff, 5_000).every((pause) => pause > 0 && pause <= MOST_MS));
});

test("what went well begins anew with short pauses", () => {
  const backoff = new Backoff({ random: () => 1 });
  pauses(backoff, 5);
  backoff.reset();
  assert.equal(backoff.next(), 1_000);
});

test("what must wait waits so long at least", () => {
  assert.equal(later(1_000, () => 0), 1_000);
  assert.equal(later(1_000, () => 1), 1_500);
});
