// What the pages say of a state, of times and of working hours.

import assert from "node:assert/strict";
import { test } from "node:test";
import { hoursWords, lasting, retryWords, saying, sizeWords, today } from "../../../../extension/pages/words.js";
import { nothingYet } from "../../../../extension/shared/status.js";

const status = (changes) => ({ ...nothingYet(), state: "connected", taking: true, ...changes });
const job = { requestId: "r", model: "m", prompt: "p", progress: 0, words: "", stage: "working", startedAt: 0 };

test("a connection says that it is there, and what is worked on", () => {
  assert.deepEqual(saying(status({})), { label: "Connected", tone: "good", sentence: "Ready for work." });
  assert.equal(saying(status({ jobs: [job] })).sentence, "Working on one job.");
  assert.equal(saying(status({ jobs: [job, job] })).sentence, "Working on 2 jobs.");
});

test("one that takes no work says why, even while it finishes some", () => {
  for (const [notTaking, label] of [["paused", "Paused"], ["hours", "Off hours"], ["providers", "No generator"]]) {
    const said = saying(status({ taking: false, notTaking, jobs: [job] }));
    assert.equal(said.label, label);
    assert.match(said.sentence, /^Connected/);
  }
});

test("without a connection the worker's own sentence is said, or a plain one", () => {
  assert.equal(saying(status({ state: "refused", why: "The token is wrong." })).sentence, "The token is wrong.");
  assert.equal(saying(status({ state: "waiting" })).sentence, "The server cannot be reached.");
  assert.equal(saying(status({ state: "unset" })).label, "Not set up");
});

test("the time to the next try is counted down, and is gone once there is a connection", () => {
  const waiting = (ms) => retryWords(status({ state: "waiting", retryAt: 1_000_000 + ms }), 1_000_000);
  assert.deepEqual([3000, 200, 0, -5].map(waiting), [
    "Trying again in 3 s", "Trying again in 1 s", "Trying again now", "Trying again now",
  ]);
  assert.equal(retryWords(status({ state: "waiting" }), 0), "");
  assert.equal(retryWords(status({ retryAt: 99 }), 0), "");
});

test("times and sizes are as long as one wants to read them", () => {
  assert.deepEqual([5, 59, 60, 125, 3600, 7260].map(lasting), [
    "5 s", "59 s", "1 min 0 s", "2 min 5 s", "1 h 0 min", "2 h 1 min",
  ]);
  assert.deepEqual([999, 1500, 2_340_000].map(sizeWords), ["999 bytes", "2 kB", "2.3 MB"]);
});

test("the numbers of yesterday are not today's", () => {
  const now = new Date(2024, 0, 5, 12);
  assert.equal(today(status({ today: { date: "2024-01-05", done: 3, failed: 1 } }), now).done, 3);
  assert.equal(today(status({ today: { date: "2024-01-04", done: 3, failed: 1 } }), now).done, 0);
});

test("working hours are read back in words", () => {
  const hours = { enabled: true, days: [1, 2, 3, 4, 5], from: "09:00", to: "18:00" };
  const words = (changes) => hoursWords({ ...hours, ...changes });
  assert.equal(words({ enabled: false }), "Work is taken at any time.");
  assert.equal(words({}), "Work is taken Monday to Friday, from 09:00 to 18:00, by this computer's clock.");
  assert.match(words({ from: "22:00", to: "06:00" }), /from 22:00 to 06:00 of the next day/);
  assert.match(words({ from: "10:00", to: "10:00" }), /for 24 hours from 10:00/);
  assert.match(words({ days: [0, 1, 2, 3, 4, 5, 6] }), /taken every day,/);
  assert.match(words({ days: [0, 3] }), /taken Wednesday and Sunday,/);
  assert.match(words({ days: [6, 0] }), /taken Saturday and Sunday,/);
  assert.match(words({ days: [0, 5, 6] }), /taken Friday to Sunday,/);
  assert.match(words({ days: [1, 3, 5] }), /taken Monday, Wednesday, and Friday,/);
});
