import assert from "node:assert/strict";
import { test } from "node:test";

import { fromClose, fromHttpStatus, REFUSED_MS, REPLACED_MS } from "../../../extension/worker/disconnections.js";

const closed = (code, error, reason = "") => fromClose({ code, reason, error }, "e1");
const UNAUTHORIZED = { error: "This token is not known.", code: "ERR_UNAUTHORIZED" };

test("being replaced by another browser is explained and followed by a long wait", () => {
  const { state, why, waitMs } = closed(4000);
  assert.deepEqual([state, waitMs], ["refused", REPLACED_MS]);
  assert.match(why, /Another browser uses the name e1/);
});

test("an invalid token is refused with the server's message, even if the closed code was lost", () => {
  const refused = { state: "refused", why: "This token is not known.", waitMs: REFUSED_MS };
  assert.deepEqual(closed(4001, UNAUTHORIZED), refused);
  assert.deepEqual(closed(1006, UNAUTHORIZED), refused);
  assert.deepEqual(fromHttpStatus(401, "This token is not known.", null), refused);
});

test("a late authentication is not a refusal", () => {
  const late = { error: "No authenticate came within 2000 ms.", code: "ERR_INVALID_REQUEST" };
  assert.deepEqual(closed(4001, late), { state: "waiting", why: late.error });
});

test("a closed because of too many messages is followed by a wait", () => {
  assert.equal(closed(4003).waitMs, 30_000);
});

test("every other closed is explained and retried with the usual backoff", () => {
  for (const code of [1000, 1001, 1006, 1009, 1011, 1012, 4004]) {
    const { state, why, waitMs } = closed(code);
    assert.deepEqual([state, waitMs], ["waiting", undefined]);
    assert.match(why, /^The .+\.$/);
  }
  assert.equal(closed(4999, undefined, "odd").why, "The server closed the connection: odd.");
});

test("the Retry-After header sets the minimum wait", () => {
  assert.deepEqual(fromHttpStatus(429, "Too many.", "7"), { state: "waiting", why: "Too many.", waitMs: 7_000 });
  assert.deepEqual(fromHttpStatus(503, "", null), { state: "waiting", why: "The server responded with status 503." });
});

test("a 404 means that there is no Imagefleet server", () => {
  assert.equal(fromHttpStatus(404, "Not found", null).why, "There is no Imagefleet server at this address.");
});
