// The small parts of the worker: orders, limits in time, failures, the badge, tasks.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { badgeFor } from "../../../extension/worker/badge.js";
import { dataUrl } from "../../../extension/worker/data_url.js";
import { Failure } from "../../../extension/worker/failures.js";
import { makePicture, withinTime } from "../../../extension/worker/maker.js";
import { countOf, orderFor } from "../../../extension/worker/orders.js";
import { Task } from "../../../extension/worker/task.js";

const job = { requestId: "r", prompt: "p".repeat(500), model: "m", parameters: {} };
const endless = () => new Promise(() => {});
const silent = new AbortController().signal;

test("an order has a size even where the job has none", () => {
  assert.deepEqual([orderFor(job, 2).width, orderFor(job, 2).height, orderFor(job, 2).position], [1024, 1024, 2]);
  assert.equal(countOf(job), 1);
});

test("sizes and numbers that make no sense fail for good, and name what is wrong", () => {
  for (const [name, value] of [["width", 0], ["height", 8193], ["width", "8"], ["height", 1.5], ["width", NaN]]) {
    assert.throws(() => orderFor({ ...job, parameters: { [name]: value } }, 0), (failure) => {
      return failure instanceof Failure && !failure.retryable && failure.reason.startsWith(name);
    });
  }
  assert.throws(() => countOf({ ...job, parameters: { numberOfImages: 11 } }), Failure);
});

test("a model that nothing is set up for fails so that others may try", async () => {
  await assert.rejects(makePicture(orderFor(job, 0), [], silent, () => undefined), (failure) => {
    assert.deepEqual([failure.code, failure.retryable], ["ERR_GENERATION_FAILED", true]);
    return true;
  });
});

test("work that is called off ends at once, also where it does not listen", async () => {
  const stop = new AbortController();
  const work = withinTime(stop.signal, endless);
  stop.abort(new Error("called off"));
  await assert.rejects(work, /called off/);
});

test("work that takes too long is told to stop, and is a failure of its own kind", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let heard;
  const work = withinTime(silent, (signal) => {
    heard = signal;
    return endless();
  }, 60_000);
  mock.timers.tick(60_000);
  await assert.rejects(work, (failure) => failure.code === "ERR_TIMEOUT" && failure.retryable);
  assert.ok(heard.aborted);
  mock.timers.reset();
});

test("whatever is thrown becomes a failure that may be tried again", () => {
  const { error, reason, retryable } = Failure.from(new TypeError("x is not a function")).fields;
  assert.deepEqual([error, reason, retryable], ["The extension failed", "TypeError: x is not a function", true]);
  const own = new Failure("No", { code: "ERR_RATE_LIMIT", retryAfterMs: 5 });
  assert.equal(Failure.from(own), own);
});

test("bytes become a data: URL, however many", async () => {
  const bytes = Uint8Array.from({ length: 100_001 }, (_, at) => at % 256);
  const url = await dataUrl(new Blob([bytes], { type: "image/png" }));
  assert.equal(url, `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`);
});

test("progress never goes backwards, never says that it is over, and is told twice a second at most", () => {
  mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
  const task = new Task({ requestId: "r", job, home: "", held: true, takenAt: 0 }, { ready: true });
  const told = [task.note(10, "a"), task.note(50, "b"), task.note(NaN, "c")];
  mock.timers.tick(500);
  told.push(task.note(20, "d"), task.note(200, "e"));
  assert.deepEqual(told, [true, false, false, true, false]);
  assert.deepEqual([task.percent, task.words], [99, "e"]);
  assert.equal(task.shown.prompt.length, 120);
  mock.timers.reset();
});

test("the badge tells every state apart", () => {
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
