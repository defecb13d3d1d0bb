import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { dateOf, onDay, Tally } from "../../../extension/worker/tally.js";
import { fakeChrome } from "./fake_chrome.js";

beforeEach(fakeChrome);

test("a day is the user's own, not Greenwich's", () => {
  assert.equal(dateOf(new Date(2024, 0, 5, 0, 1)), "2024-01-05");
  assert.equal(dateOf(new Date(2024, 11, 31, 23, 59)), "2024-12-31");
});

test("yesterday's counts are over", () => {
  const yesterday = { date: "2024-05-20", done: 7, failed: 1 };
  assert.deepEqual(onDay(yesterday, new Date(2024, 4, 21)), { date: "2024-05-21", done: 0, failed: 0 });
  assert.deepEqual(onDay(yesterday, new Date(2024, 4, 20)), yesterday);
});

test("counts outlive the worker", async () => {
  mock.timers.enable({ apis: ["Date"], now: new Date(2024, 4, 20, 12) });
  const tally = new Tally();
  await tally.load();
  await tally.count("done");
  await tally.count("done");
  await tally.count("failed");

  const next = new Tally();
  await next.load();

  assert.deepEqual(next.today, { date: "2024-05-20", done: 2, failed: 1 });
  mock.timers.tick(24 * 3_600_000);
  assert.deepEqual(next.today, { date: "2024-05-21", done: 0, failed: 0 });
  mock.timers.reset();
});
