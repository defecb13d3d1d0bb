import assert from "node:assert/strict";
import { test } from "node:test";

import { ofAnswer, ofClose, REFUSED_MS, REPLACED_MS } from "../../../extension/worker/endings.js";

const close = (code, complaint, reason = "") => ofClose({ code, reason, complaint }, "e1");
const UNAUTHORIZED = { error: "This token is not known.", code: "ERR_UNAUTHORIZED" };

test("another browser under the same name is said, and waited for long", () => {
  const { state, why, waitMs } = close(4000);
  assert.deepEqual([state, waitMs], ["refused", REPLACED_MS]);
  assert.match(why, /Another browser goes by the name e1/);
});

test("a token that is not good is refused in the server's words, also where the code was lost on the way", () => {
  const refused = { state: "refused", why: "This token is not known.", waitMs: REFUSED_MS };
  assert.deepEqual(close(4001, UNAUTHORIZED), refused);
  assert.deepEqual(close(1006, UNAUTHORIZED), refused);
  assert.deepEqual(ofAnswer(401, "This token is not known.", null), refused);
});

test("an introduction that came too late is no refusal", () => {
  const late = { error: "No authenticate came within 2000 ms.", code: "ERR_INVALID_REQUEST" };
  assert.deepEqual(close(4001, late), { state: "waiting", why: late.error });
});

test("whoever closes for being flooded is left alone for a while", () => {
  assert.equal(close(4003).waitMs, 30_000);
});

test("every other end is followed by the usual pauses, and explained", () => {
  for (const code of [1000, 1001, 1006, 1009, 1011, 1012, 4004]) {
    const { state, why, waitMs } = close(code);
    assert.deepEqual([state, waitMs], ["waiting", undefined]);
    assert.match(why, /^The .+\.$/);
  }
  assert.equal(close(4999, undefined, "odd").why, "The server closed the connection: odd.");
});

test("a server that is busy says when to come back", () => {
  assert.deepEqual(ofAnswer(429, "Too many.", "7"), { state: "waiting", why: "Too many.", waitMs: 7_000 });
  assert.deepEqual(ofAnswer(503, "", null), { state: "waiting", why: "The server answered with the status 503." });
});

test("what knows no such address is no server of ours", () => {
  assert.equal(ofAnswer(404, "Not found", null).why, "There is no Imagefleet server at this address.");
});
