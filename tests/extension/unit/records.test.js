import assert from "node:assert/strict";
import { test } from "node:test";

import { canReusePictures, expired, homeOf, MAX_FINISHED, RELEASED_TTL_MS } from "../../../extension/worker/records.js";

const HOME = homeOf({ server: "http://a", extensionId: "e" });
const NOW = 10 * RELEASED_TTL_MS;
const job = { requestId: "r", prompt: "a fox", model: "m", parameters: { width: 8 } };
const record = (fields) => ({ requestId: "r", job, home: HOME, held: true, takenAt: NOW, ...fields });
const done = (takenAt, fields) => record({ requestId: `r${takenAt}`, takenAt, outcome: { made: {} }, ...fields });

test("unfinished jobs are always kept", () => {
  const records = Array.from({ length: 200 }, () => record({ takenAt: 0 }));
  assert.deepEqual(expired(records, HOME, NOW), []);
});

test("jobs of another server are deleted", () => {
  const elsewhere = record({ home: homeOf({ server: "http://b", extensionId: "e" }) });
  assert.deepEqual(expired([record({}), elsewhere], HOME, NOW), [elsewhere]);
});

test("only the latest unconfirmed results are kept", () => {
  const records = Array.from({ length: MAX_FINISHED + 3 }, (_, age) => done(NOW - age));
  const deleted = expired(records, HOME, NOW).map(({ takenAt }) => NOW - takenAt);
  assert.deepEqual(deleted.sort((a, b) => a - b), [MAX_FINISHED, MAX_FINISHED + 1, MAX_FINISHED + 2]);
});

test("released jobs are deleted before unconfirmed ones", () => {
  const released = done(NOW, { held: false });
  const held = Array.from({ length: MAX_FINISHED }, (_, age) => done(NOW - 100 - age));
  assert.deepEqual(expired([released, ...held], HOME, NOW), [released]);
});

test("released jobs are kept for an hour", () => {
  assert.deepEqual(expired([done(NOW - RELEASED_TTL_MS, { held: false })], HOME, NOW), []);
  assert.equal(expired([done(NOW - RELEASED_TTL_MS - 1, { held: false })], HOME, NOW).length, 1);
});

test("pictures are reused unless they were already sent over the same connection", () => {
  assert.ok(canReusePictures(record({}), job, "socket-2"));
  assert.ok(canReusePictures(record({ sentOver: "socket-1" }), job, "socket-2"));
  assert.ok(!canReusePictures(record({ sentOver: "socket-2" }), job, "socket-2"));
});

test("pictures are not reused if the request's content has changed", () => {
  assert.ok(!canReusePictures(record({}), { ...job, prompt: "a vixen" }, "socket-2"));
  assert.ok(!canReusePictures(record({}), { ...job, parameters: { width: 9 } }, "socket-2"));
});

test("pictures are reused if only the addresses of the input pictures have changed", () => {
  const input = { url: "http://a/1", sha256: "ab", role: "image", strength: 0.5 };
  const withInput = (changes) => ({ ...job, inputImages: [{ ...input, ...changes }] });
  const old = record({ job: withInput({}) });
  assert.ok(canReusePictures(old, withInput({ url: "http://a/2" }), "socket-2"));
  for (const changes of [{ sha256: "cd" }, { role: "mask" }, { strength: 0.6 }]) {
    assert.ok(!canReusePictures(old, withInput(changes), "socket-2"), JSON.stringify(changes));
  }
  assert.ok(!canReusePictures(old, job, "socket-2"));
});
