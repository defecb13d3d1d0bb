import assert from "node:assert/strict";
import { test } from "node:test";

import { canReuse, homeOf, LOOSE_MS, MOST_KEPT, outdated } from "../../../extension/worker/records.js";

const HOME = homeOf({ server: "http://a", extensionId: "e" });
const NOW = 10 * LOOSE_MS;
const job = { requestId: "r", prompt: "a fox", model: "m", parameters: { width: 8 } };
const record = (fields) => ({ requestId: "r", job, home: HOME, held: true, takenAt: NOW, ...fields });
const done = (takenAt, fields) => record({ requestId: `r${takenAt}`, takenAt, outcome: { made: {} }, ...fields });

test("work in hand is never forgotten, however much and however old", () => {
  const records = Array.from({ length: 200 }, () => record({ takenAt: 0 }));
  assert.deepEqual(outdated(records, HOME, NOW), []);
});

test("what another server asked for is forgotten", () => {
  const elsewhere = record({ home: homeOf({ server: "http://b", extensionId: "e" }) });
  assert.deepEqual(outdated([record({}), elsewhere], HOME, NOW), [elsewhere]);
});

test("results that nobody confirms are kept in number, the latest of them", () => {
  const records = Array.from({ length: MOST_KEPT + 3 }, (_, age) => done(NOW - age));
  const gone = outdated(records, HOME, NOW).map(({ takenAt }) => NOW - takenAt);
  assert.deepEqual(gone.sort((a, b) => a - b), [MOST_KEPT, MOST_KEPT + 1, MOST_KEPT + 2]);
});

test("what was lost goes before what is still to be confirmed", () => {
  const lost = done(NOW, { held: false });
  const held = Array.from({ length: MOST_KEPT }, (_, age) => done(NOW - 100 - age));
  assert.deepEqual(outdated([lost, ...held], HOME, NOW), [lost]);
});

test("what was lost is kept for an hour", () => {
  assert.deepEqual(outdated([done(NOW - LOOSE_MS, { held: false })], HOME, NOW), []);
  assert.equal(outdated([done(NOW - LOOSE_MS - 1, { held: false })], HOME, NOW).length, 1);
});

test("a request that comes again finds its pictures, unless the server had them and did not want them", () => {
  assert.ok(canReuse(record({}), job, "link-2"));
  assert.ok(canReuse(record({ sentOver: "link-1" }), job, "link-2"));
  assert.ok(!canReuse(record({ sentOver: "link-2" }), job, "link-2"));
});

test("a request that wants something else under the same name finds none", () => {
  assert.ok(!canReuse(record({}), { ...job, prompt: "a vixen" }, "link-2"));
  assert.ok(!canReuse(record({}), { ...job, parameters: { width: 9 } }, "link-2"));
});
