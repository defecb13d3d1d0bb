import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { countsToday, localDate } from "../../../extension/shared/days.js";
import { DailyCounts } from "../../../extension/worker/daily_counts.js";
import { fakeChrome } from "./fake_chrome.js";

beforeEach(fakeChrome);

test("dates are in local time, not UTC", () => {
  assert.equal(localDate(new Date(2024, 0, 5, 0, 1)), "2024-01-05");
  assert.equal(localDate(new Date(2024, 11, 31, 23, 59)), "2024-12-31");
});

test("counts of another day are reset", () => {
  const yesterday = { date: "2024-05-20", done: 7, failed: 1 };
  assert.deepEqual(countsToday(yesterday, new Date(2024, 4, 21)), { date: "2024-05-21", done: 0, failed: 0 });
  assert.deepEqual(countsToday(yesterday, new Date(2024, 4, 20)), yesterday);
});

test("counts survive a restart of the worker", async () => {
  mock.timers.enable({ apis: ["Date"], now: new Date(2024, 4, 20, 12) });
  const counts = new DailyCounts();
  await counts.load();
  await counts.increment("done");
  await counts.increment("done");
  await counts.increment("failed");

  const next = new DailyCounts();
  await next.load();

  assert.deepEqual(next.today, { date: "2024-05-20", done: 2, failed: 1 });
  mock.timers.tick(24 * 3_600_000);
  assert.deepEqual(next.today, { date: "2024-05-21", done: 0, failed: 0 });
  mock.timers.reset();
});
