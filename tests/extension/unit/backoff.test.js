import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff, MAX_DELAY_MS, withJitter } from "../../../extension/worker/backoff.js";

const delays = (backoff, count) => Array.from({ length: count }, () => backoff.nextDelayMs());

test("delays double up to 30 seconds", () => {
  const longest = delays(new Backoff({ random: () => 1 }), 8);
  assert.deepEqual(longest, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

test("up to half of a delay is random", () => {
  assert.deepEqual(delays(new Backoff({ random: () => 0 }), 3), [500, 1_000, 2_000]);
});

test("no delay is longer than 30 seconds after many attempts", () => {
  const backoff = new Backoff();
  assert.ok(delays(backoff, 5_000).every((delay) => delay > 0 && delay <= MAX_DELAY_MS));
});

test("a reset starts again with short delays", () => {
  const backoff = new Backoff({ random: () => 1 });
  delays(backoff, 5);
  backoff.reset();
  assert.equal(backoff.nextDelayMs(), 1_000);
});

test("jitter only makes a delay longer", () => {
  assert.equal(withJitter(1_000, () => 0), 1_000);
  assert.equal(withJitter(1_000, () => 1), 1_500);
});
