import assert from "node:assert/strict";
import { test } from "node:test";

import { retryAfterMs } from "../../../extension/shared/retry_after.js";

const NOON = Date.parse("2024-01-14T12:00:00Z");
process.env.TZ = "Etc/GMT-2"; // two hours ahead of UTC

test("a wait is in seconds, or until a date, which is in UTC if it has no zone", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: NOON });
  const waits = {
    7: 7_000, " 7 ": 7_000, 0: 0,
    "Sun, 14 Jan 2024 12:00:09 GMT": 9_000,
    "Sun, 14 Jan 2024 12:00:09": 9_000,
    "Sunday, 14-Jan-24 12:00:09 GMT": 9_000,
    "Sun Jan 14 12:00:09 2024": 9_000,
    "Sun, 14 Jan 2024 13:00:09 +0100": 9_000,
    "Sun, 14 Jan 2024 11:00:00 GMT": 0,
  };
  for (const [header, ms] of Object.entries(waits)) assert.equal(retryAfterMs(header), ms, header);
});

test("a header that cannot be read names no wait", () => {
  assert.deepEqual([null, "", "soon", "-5", "1e3"].map(retryAfterMs), Array(5).fill(undefined));
});
