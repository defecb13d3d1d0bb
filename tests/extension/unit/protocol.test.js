import assert from "node:assert/strict";
import { test } from "node:test";

import {
  authenticate, InvalidMessage, failed, generated, heartbeat, progress, parseMessage,
} from "../../../extension/worker/protocol.js";

const parse = (fields) => parseMessage(JSON.stringify(fields));
const JOB = { requestId: "r", prompt: "a fox", model: "m", parameters: { width: 8 } };
const message = { type: "generate_image", ...JOB, correlationId: "c", lease: "l" };
const upload = { url: "http://a.example/put?x=1", method: "PUT", headers: { "X-N": 1 }, maxBytes: 5, expiresAt: "2" };

test("a job is parsed with all its fields", () => {
  const { url, method, maxBytes } = upload;
  const grant = { url, method, maxBytes, headers: { "X-N": "1" } };
  assert.deepEqual(parse({ ...message, upload, userId: "u" }), {
    type: "generate_image",
    job: { ...JOB, correlationId: "c", lease: "l", upload: grant },
  });
});

test("a job says how many previews are wanted, if any are", () => {
  assert.equal(parse({ ...message, previews: 2 }).job.previews, 2);
  for (const previews of [undefined, null, 0, -1, 1.5, "2", true]) {
    assert.equal("previews" in parse({ ...message, previews }).job, false);
  }
  const preview = { mimeType: "image/webp", data: "AA==", position: 1 };
  assert.deepEqual(progress(JOB, 40.5, "Drawing", preview), {
    type: "image_generation_progress", requestId: "r", progress: 40, status: "Drawing", preview,
  });
});

test("a job with only the fields of the contract is parsed", () => {
  assert.deepEqual(parse({ type: "generate_image", ...JOB }).job, JOB);
});

test("a job with a missing or invalid required field is rejected", () => {
  for (const change of [
    { requestId: undefined }, { prompt: "" }, { parameters: [] }, { upload: { url: "file:///etc" } },
    { upload: "here" }, { requestId: 7 },
  ]) {
    assert.throws(() => parse({ ...message, ...change }), InvalidMessage, JSON.stringify(change));
  }
});

const input = { url: "http://a.example/in/1?s=x", sha256: "AB".repeat(32), mimeType: "image/png", role: "image" };

test("input pictures are parsed with their role and strength", () => {
  const mask = { ...input, role: "mask" };
  const { job } = parse({ ...message, inputImages: [{ ...input, strength: 0.25, note: "x" }, mask] });
  const { url } = input;
  const sha256 = "ab".repeat(32);
  assert.deepEqual(job.inputImages, [{ url, sha256, role: "image", strength: 0.25 }, { url, sha256, role: "mask" }]);
  for (const absent of [undefined, null]) {
    assert.equal("inputImages" in parse({ ...message, inputImages: absent }).job, false);
  }
  for (const strength of [0, 1]) {
    assert.equal(parse({ ...message, inputImages: [{ ...input, strength }] }).job.inputImages[0].strength, strength);
  }
});

test("a job with invalid input pictures is rejected", () => {
  const mask = { ...input, role: "mask" };
  const changes = [
    { url: "file:///etc/passwd" }, { url: "data:image/png;base64,AAAA" }, { url: "" }, { url: 7 }, { url: "http://" },
    { sha256: "ab" }, { sha256: "zz".repeat(32) }, { sha256: undefined }, { mimeType: "image/svg+xml" },
    { mimeType: undefined }, { role: "sketch" }, { role: undefined }, { strength: -0.1 }, { strength: 1.1 },
    { strength: "0.5" }, { strength: true },
  ];
  const lists = [
    ...changes.map((change) => [{ ...input, ...change }]),
    [], {}, "x", [null], ["x"], Array(5).fill(input), [mask], [input, mask, mask],
  ];
  for (const inputImages of lists) {
    assert.throws(() => parse({ ...message, inputImages }), InvalidMessage, JSON.stringify(inputImages));
  }
});

test("text that is not a message is rejected", () => {
  for (const text of ["", "{", "null", "[]", "7", '"x"', "{}", '{"type":7}']) {
    assert.throws(() => parseMessage(text), InvalidMessage, text);
  }
  assert.throws(() => parseMessage(new ArrayBuffer(1)), InvalidMessage);
});

test("unknown types, and names of object properties, are ignored", () => {
  for (const type of ["news", "constructor", "__proto__"]) assert.deepEqual(parse({ type }), { type: "unknown" });
});

test("authentication_success may list active requests", () => {
  const type = "authentication_success";
  assert.deepEqual(parse({ type, extensionId: "e" }), { type });
  assert.deepEqual(parse({ type, activeRequestIds: ["a", 7, "b"] }), { type, activeRequestIds: ["a", "b"] });
});

test("an error has a message and a code, and may name a request", () => {
  const type = "error";
  const error = { type, error: "No.", code: "C", requestId: "r" };
  assert.deepEqual(parse(error), error);
  assert.equal(parse({ type }).code, "");
});

test("authenticate contains a token only if there is one", () => {
  const registration = {
    extensionId: "e", version: "1.0.0", capabilities: ["x"], maxConcurrent: 2, activeRequestIds: ["r"],
  };
  const plain = authenticate({ ...registration, token: "" });
  assert.ok(!("token" in plain));
  assert.deepEqual(plain.metadata, { version: "1.0.0", capabilities: ["x"], maxConcurrent: 2 });
  assert.equal(authenticate({ ...registration, token: "t" }).token, "t");
});

test("authenticate says so only if no jobs are accepted at the moment", () => {
  const registration = {
    extensionId: "e", token: "", version: "1.0.0", capabilities: ["x"], maxConcurrent: 2, activeRequestIds: [],
  };
  const said = (available) => authenticate({ ...registration, available }).metadata.available;
  assert.deepEqual([true, undefined, false].map(said), [undefined, undefined, false]);
});

test("a heartbeat reports the load", () => {
  assert.deepEqual(heartbeat("e", { available: false, active: 1, waiting: 2, requestIds: ["a"] }), {
    type: "heartbeat",
    extensionId: "e",
    status: { available: false, queueSize: 2, activeRequests: 1 },
    activeRequestIds: ["a"],
  });
});

test("retryAfterMs is a error number and at most a day", () => {
  const sent = (retryAfterMs) => failed(JOB, { error: "No", retryAfterMs }).retryAfterMs;
  assert.deepEqual([1.5, 1e12, -1, NaN, "7"].map(sent), [2, 86_400_000, undefined, undefined, undefined]);
});

test("reports contain the job's correlation ID and lease only if it has them", () => {
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

test("a pause by the server is read from its response to a heartbeat", () => {
  const received = (fields) => parseMessage(JSON.stringify({ type: "heartbeat_response", ...fields }));
  assert.deepEqual(received({}), { type: "heartbeat_response" });
  assert.deepEqual(received({ pausedUntil: "2024-01-14T12:00:00.000Z", pauseReason: "Failures" }), {
    type: "heartbeat_response", pausedUntil: Date.UTC(2024, 0, 14, 12), pauseReason: "Failures",
  });
  assert.deepEqual(received({ pausedUntil: "soon", pauseReason: 5 }), { type: "heartbeat_response" });
});
