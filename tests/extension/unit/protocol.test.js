import assert from "node:assert/strict";
import { test } from "node:test";

import {
  authenticate, BadMessage, failed, generated, heartbeat, progress, read,
} from "../../../extension/worker/protocol.js";

const say = (fields) => read(JSON.stringify(fields));
const JOB = { requestId: "r", prompt: "a fox", model: "m", parameters: { width: 8 } };
const asked = { type: "generate_image", ...JOB, correlationId: "c", lease: "l" };
const upload = { url: "http://a.example/put?x=1", method: "PUT", headers: { "X-N": 1 }, maxBytes: 5, expiresAt: "2" };

test("a job is read with all that belongs to it", () => {
  const { url, method, maxBytes } = upload;
  const grant = { url, method, maxBytes, headers: { "X-N": "1" } };
  assert.deepEqual(say({ ...asked, upload, userId: "u" }), {
    type: "generate_image",
    job: { ...JOB, correlationId: "c", lease: "l", upload: grant },
  });
});

test("a job of a server that knows the bare contract alone is read", () => {
  assert.deepEqual(say({ type: "generate_image", ...JOB }).job, JOB);
});

test("what a job must have and lacks makes it no job", () => {
  for (const lack of [{ requestId: undefined }, { prompt: "" }, { parameters: [] }, { upload: { url: "file:///etc" } },
    { upload: "here" }, { requestId: 7 }]) {
    assert.throws(() => say({ ...asked, ...lack }), BadMessage, JSON.stringify(lack));
  }
});

test("what is no message is refused", () => {
  for (const text of ["", "{", "null", "[]", "7", '"x"', "{}", '{"type":7}']) {
    assert.throws(() => read(text), BadMessage, text);
  }
  assert.throws(() => read(new ArrayBuffer(1)), BadMessage);
});

test("messages of later versions, and words that every object has, are left alone", () => {
  for (const type of ["news", "constructor", "__proto__"]) assert.deepEqual(say({ type }), { type: "unknown" });
});

test("the answer to an introduction may or may not say what is still held", () => {
  const type = "authentication_success";
  assert.deepEqual(say({ type, extensionId: "e" }), { type });
  assert.deepEqual(say({ type, activeRequestIds: ["a", 7, "b"] }), { type, activeRequestIds: ["a", "b"] });
});

test("an error has words and a code, and may be about a request", () => {
  const type = "error";
  const whole = { type, error: "No.", code: "C", requestId: "r" };
  assert.deepEqual(say(whole), whole);
  assert.equal(say({ type }).code, "");
});

test("an introduction shows a token only where there is one", () => {
  const hello = { extensionId: "e", version: "1.0.0", capabilities: ["x"], maxConcurrent: 2, activeRequestIds: ["r"] };
  const plain = authenticate({ ...hello, token: "" });
  assert.ok(!("token" in plain));
  assert.deepEqual(plain.metadata, { version: "1.0.0", capabilities: ["x"], maxConcurrent: 2 });
  assert.equal(authenticate({ ...hello, token: "t" }).token, "t");
});

test("a heartbeat says how things are", () => {
  assert.deepEqual(heartbeat("e", { available: false, active: 1, waiting: 2, requestIds: ["a"] }), {
    type: "heartbeat",
    extensionId: "e",
    status: { available: false, queueSize: 2, activeRequests: 1 },
    activeRequestIds: ["a"],
  });
});

test("a pause is told in whole ms, and is no longer than a day", () => {
  const told = (retryAfterMs) => failed(JOB, { error: "No", retryAfterMs }).retryAfterMs;
  assert.deepEqual([1.5, 1e12, -1, NaN, "7"].map(told), [2, 86_400_000, undefined, undefined, undefined]);
});

test("reports carry what the job came with, and nothing that it came without", () => {
  const known = { ...JOB, correlationId: "c", lease: "l" };
  assert.deepEqual(progress(known, 33.9, "Drawing"), {
    type: "image_generation_progress", requestId: "r", correlationId: "c", lease: "l", progress: 33, status: "Drawing",
  });
  assert.deepEqual(generated(JOB, ["u"], { width: 8 }), {
    type: "image_generated", requestId: "r", imageUrl: "u", metadata: { model: "m", prompt: "a fox", width: 8 },
  });
  assert.deepEqual(generated(JOB, ["u", "v"], {}).imageUrls, ["u", "v"]);
  assert.deepEqual(failed(JOB, { error: "No", retryable: false, code: "ERR_TIMEOUT", retryAfterMs: undefined }), {
    type: "image_generation_failed", requestId: "r", error: "No", retryable: false, code: "ERR_TIMEOUT",
  });
});
