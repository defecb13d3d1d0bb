// Texts for the status, times and working hours.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatDuration, formatSize, operationsText, pauseText, retryText, statusText, workingHoursText,
} from "../../../../extension/pages/text.js";
import { initialStatus } from "../../../../extension/shared/status.js";

const status = (changes) => ({ ...initialStatus(), state: "connected", taking: true, ...changes });
const job = { requestId: "r", model: "m", prompt: "p", progress: 0, words: "", stage: "working", startedAt: 0 };

test("a connected extension shows its jobs", () => {
  assert.deepEqual(statusText(status({})), { label: "Connected", tone: "good", sentence: "Ready for work." });
  assert.equal(statusText(status({ jobs: [job] })).sentence, "Working on one job.");
  assert.equal(statusText(status({ jobs: [job, job] })).sentence, "Working on 2 jobs.");
});

test("an extension that accepts no jobs shows why, even while it finishes some", () => {
  const labels = {
    paused: "Paused", hours: "Off hours", providers: "No generator", setup: "Not ready", resting: "Resting",
  };
  for (const [notTaking, label] of Object.entries(labels)) {
    const shown = statusText(status({ taking: false, notTaking, jobs: [job] }));
    assert.equal(shown.label, label);
    assert.match(shown.sentence, /^Connected/);
  }
});

test("a pause by the server is shown until it ends", () => {
  const serverPause = { until: Date.now() + 60_000, reason: "It failed three times." };
  const shown = statusText(status({ serverPause }));
  assert.equal(shown.label, "Resting");
  assert.match(shown.sentence, /^The server sends no jobs until .* after a failure: It failed three times\. A change /);
  assert.equal(statusText(status({ serverPause: { ...serverPause, until: Date.now() - 1 } })).label, "Connected");
  assert.equal(statusText(status({ serverPause, taking: false, notTaking: "paused" })).label, "Paused");
});

test("a paused generator shows until when, and what ends the pause", () => {
  const state = { id: "a", name: "A", problem: "The key is missing." };
  assert.equal(pauseText(state), "The key is missing.");
  const paused = pauseText({ ...state, pausedUntil: 1 });
  assert.match(paused, /^Paused until .* after a failure: The key is missing\. A change/);
});

test("without a connection the worker's message is shown, or a default", () => {
  assert.equal(statusText(status({ state: "refused", why: "The token is wrong." })).sentence, "The token is wrong.");
  assert.equal(statusText(status({ state: "waiting" })).sentence, "The server cannot be reached.");
  assert.equal(statusText(status({ state: "unset" })).label, "Not set up");
});

test("the time to the next attempt is counted down, and hidden when connected", () => {
  const waiting = (ms) => retryText(status({ state: "waiting", retryAt: 1_000_000 + ms }), 1_000_000);
  assert.deepEqual([3000, 200, 0, -5].map(waiting), [
    "Trying again in 3 s", "Trying again in 1 s", "Trying again now", "Trying again now",
  ]);
  assert.equal(retryText(status({ state: "waiting" }), 0), "");
  assert.equal(retryText(status({ retryAt: 99 }), 0), "");
});

test("durations and sizes are rounded", () => {
  assert.deepEqual([5, 59, 60, 125, 3600, 7260].map(formatDuration), [
    "5 s", "59 s", "1 min 0 s", "2 min 5 s", "1 h 0 min", "2 h 1 min",
  ]);
  assert.deepEqual([999, 1500, 2_340_000].map(formatSize), ["999 bytes", "2 kB", "2.3 MB"]);
});

test("what a generator can do with input pictures is described", () => {
  assert.deepEqual([[], ["image-variation"], ["image-variation", "image-edit"]].map(operationsText), [
    "", "Also makes variations of pictures.", "Also makes variations of pictures and edits with a mask.",
  ]);
});

test("working hours are described in words", () => {
  const hours = { enabled: true, days: [1, 2, 3, 4, 5], from: "09:00", to: "18:00" };
  const words = (changes) => workingHoursText({ ...hours, ...changes });
  assert.equal(words({ enabled: false }), "Jobs are accepted at any time.");
  assert.equal(words({}), "Jobs are accepted Monday to Friday, from 09:00 to 18:00, in this computer's time zone.");
  assert.match(words({ from: "22:00", to: "06:00" }), /from 22:00 to 06:00 on the next day/);
  assert.match(words({ from: "10:00", to: "10:00" }), /for 24 hours from 10:00/);
  assert.match(words({ days: [0, 1, 2, 3, 4, 5, 6] }), /accepted every day,/);
  assert.match(words({ days: [0, 3] }), /accepted Wednesday and Sunday,/);
  assert.match(words({ days: [6, 0] }), /accepted Saturday and Sunday,/);
  assert.match(words({ days: [0, 5, 6] }), /accepted Friday to Sunday,/);
  assert.match(words({ days: [1, 3, 5] }), /accepted Monday, Wednesday, and Friday,/);
});
