// The small parts of the worker: picture requests, timeouts, failures, the badge, tasks.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { badgeFor } from "../../../extension/worker/badge.js";
import { dataUrl } from "../../../extension/shared/data_url.js";
import { Failure } from "../../../extension/shared/failures.js";
import { generatePictures, withTimeout } from "../../../extension/worker/generation.js";
import { pictureCount, pictureRequest } from "../../../extension/worker/picture_requests.js";
import { Task } from "../../../extension/worker/task.js";

const job = { requestId: "r", prompt: "p".repeat(500), model: "m", parameters: {} };
const recordOf = (fields = {}) => ({ job: { ...job, ...fields }, takenAt: 5 });
const never = () => new Promise(() => {});
const neverAborted = new AbortController().signal;

test("a picture request has a default size", () => {
  const { width, height, position } = pictureRequest(recordOf(), 2);
  assert.deepEqual([width, height, position], [1024, 1024, 2]);
  assert.equal(pictureCount(job), 1);
});

test("invalid parameters fail without a retry, and the reason names them", () => {
  for (const [name, value] of [["width", 0], ["height", 8193], ["width", "8"], ["height", 1.5], ["width", NaN]]) {
    assert.throws(() => pictureRequest(recordOf({ parameters: { [name]: value } }), 0), (failure) => {
      return failure instanceof Failure && !failure.retryable && failure.reason.startsWith(name);
    });
  }
  assert.throws(() => pictureCount({ ...job, parameters: { numberOfImages: 11 } }), Failure);
});

test("a model without a generator fails, and others may retry", async () => {
  const store = { pictures: async () => [] };
  await assert.rejects(generatePictures(recordOf(), [], store, { signal: neverAborted }), (failure) => {
    assert.deepEqual([failure.code, failure.retryable], ["ERR_GENERATION_FAILED", true]);
    return true;
  });
});

test("cancelled work ends immediately, even if it ignores the signal", async () => {
  const stop = new AbortController();
  const work = withTimeout(stop.signal, never);
  stop.abort(new Error("cancelled"));
  await assert.rejects(work, /cancelled/);
});

test("work that takes too long is aborted and fails with a timeout", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let received;
  const work = withTimeout(neverAborted, (signal) => {
    received = signal;
    return never();
  }, 60_000);
  mock.timers.tick(60_000);
  await assert.rejects(work, (failure) => failure.code === "ERR_TIMEOUT" && failure.retryable);
  assert.ok(received.aborted);
  mock.timers.reset();
});

test("unexpected errors become retryable failures", () => {
  const { error, reason, retryable } = Failure.from(new TypeError("x is not a function")).fields;
  assert.deepEqual([error, reason, retryable], ["The extension failed", "TypeError: x is not a function", true]);
  const own = new Failure("No", { code: "ERR_RATE_LIMIT", retryAfterMs: 5 });
  assert.equal(Failure.from(own), own);
});

test("a large blob becomes a data: URL", async () => {
  const bytes = Uint8Array.from({ length: 100_001 }, (_, at) => at % 256);
  const url = await dataUrl(new Blob([bytes], { type: "image/png" }));
  assert.equal(url, `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`);
});

test("progress never decreases, stays below 100, and is reported at most twice a second", () => {
  mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
  const task = new Task({ requestId: "r", job, home: "", held: true, takenAt: 0 }, { ready: true });
  const reported = [task.updateProgress(10, "a"), task.updateProgress(50, "b"), task.updateProgress(NaN, "c")];
  mock.timers.tick(500);
  reported.push(task.updateProgress(20, "d"), task.updateProgress(200, "e"));
  assert.deepEqual(reported, [true, false, false, true, false]);
  assert.deepEqual([task.percent, task.message], [99, "e"]);
  assert.equal(task.summary.prompt.length, 120);
  mock.timers.reset();
});

test("the badge differs between all states", () => {
  const status = { state: "connected", why: "Because.", notTaking: "", jobs: [] };
  const badges = [
    status,
    { ...status, jobs: [{}, {}] },
    { ...status, notTaking: "paused" },
    { ...status, state: "waiting" },
    { ...status, state: "refused" },
    { ...status, state: "unset" },
  ].map(badgeFor);
  assert.equal(new Set(badges.map(({ text, colour }) => text + colour)).size, badges.length);
  assert.ok(badges.every(({ text, title }) => text.length <= 4 && title.length > 5));
  assert.equal(badges[4].title, "Because.");
});
