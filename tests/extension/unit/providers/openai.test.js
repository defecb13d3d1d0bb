// Asking an images API, against a server that speaks it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openai } from "../../../../extension/providers/openai.js";
import { sent } from "../../../../extension/providers/openai_request.js";
import { anOrder, help, PICTURE, rejection, serving } from "./support.js";

const inBase64 = () => ({ json: { created: 1, data: [{ b64_json: PICTURE.base64 }] } });
const generate = (url, settings = {}, order = {}, signal = undefined) =>
  openai.generate(anOrder(order), help({ address: `${url}/v1/`, key: "k-1", ...settings }, signal));
const refusedWith = async (test_, answer) => {
  const { url } = await serving(test_, () => answer);
  return rejection(generate(url));
};

test("a picture in base64 arrives as it is, and the key went along", async (t) => {
  const { url, asked } = await serving(t, inBase64);
  const blob = await generate(url);
  assert.deepEqual(Buffer.from(await blob.arrayBuffer()), PICTURE.bytes);
  assert.equal(blob.type, "image/png");
  const [{ method, path, headers, json }] = asked;
  assert.deepEqual([method, path, headers.authorization], ["POST", "/v1/images/generations", "Bearer k-1"]);
  assert.deepEqual(json, {
    model: "some-model", prompt: "a red fox", n: 1, size: "640x480", response_format: "b64_json",
  });
});

test("a picture behind an address is fetched from there, without the key", async (t) => {
  const { url, asked } = await serving(t, ({ method }) =>
    (method === "POST" ? { json: { data: [{ url: "/files/1.png" }] } } : { bytes: PICTURE.bytes }));
  const blob = await generate(url);
  assert.deepEqual(Buffer.from(await blob.arrayBuffer()), PICTURE.bytes);
  assert.deepEqual([asked[1].path, asked[1].headers.authorization], ["/files/1.png", undefined]);
});

test("an address that nobody named, and that is not encrypted, is not knocked at", async (t) => {
  const other = await serving(t, () => ({ bytes: PICTURE.bytes }));
  const { url } = await serving(t, () => ({ json: { data: [{ url: `${other.url}/1.png` }] } }));
  assert.match((await rejection(generate(url))).reason, /not one to fetch from/);
  assert.equal(other.asked.length, 0);
  await generate(url, { pictures: other.url });
  assert.equal(other.asked.length, 1);
});

test("each family of models is asked in its own terms", () => {
  const wide = anOrder({ width: 1600, height: 900, parameters: { quality: "hd", style: "natural" } });
  const asked = (model, settings = {}) => sent({ ...wide, model }, settings);
  assert.deepEqual(asked("gpt-image-1"), {
    model: "gpt-image-1", prompt: "a red fox", n: 1, size: "1536x1024", quality: "high",
  });
  assert.deepEqual(asked("dall-e-3"), {
    model: "dall-e-3", prompt: "a red fox", n: 1, size: "1792x1024", quality: "hd", style: "natural",
    response_format: "b64_json",
  });
  assert.equal(sent(anOrder({ model: "dall-e-2", width: 300, height: 200 }), {}).size, "256x256");
  assert.equal(asked("dall-e-3", { size: "exact" }).size, "1600x900");
  assert.equal("size" in asked("dall-e-3", { size: "none" }), false);
});

test("the user's own names of models and fields count", () => {
  const extra = { response_format: null, user: "me" };
  const settings = { mapping: { "dall-e-3": "gpt-image-1" }, model: "flux", extra };
  assert.equal(sent(anOrder({ model: "dall-e-3" }), settings).model, "gpt-image-1");
  const other = sent(anOrder({ model: "constructor" }), settings);
  assert.deepEqual([other.model, other.user, "response_format" in other], ["flux", "me", false]);
});

test("too many requests: the code of the protocol, and the wait that the answer asks for", async (t) => {
  const headers = { "Retry-After": "7" };
  const failure = await refusedWith(t, { status: 429, headers, json: { error: { message: "Slow down" } } });
  assert.equal(failure.code, "ERR_RATE_LIMIT");
  assert.deepEqual([failure.retryable, failure.retryAfterMs], [true, 7000]);
  assert.match(failure.reason, /Slow down/);
});

test("a wait may be a date, is never longer than a day, and is a minute where none is named", async (t) => {
  const wait = async (headers) => (await refusedWith(t, { status: 429, headers })).retryAfterMs;
  const soon = await wait({ "Retry-After": new Date(Date.now() + 90_000).toUTCString() });
  assert.ok(soon > 30_000 && soon <= 90_000, `${soon} ms`);
  assert.equal(await wait({ "Retry-After": "99999999" }), 86_400_000);
  assert.equal(await wait({ "Retry-After": "soon" }), 60_000);
  assert.equal(await wait({ "retry-after-ms": "1500", "Retry-After": "2" }), 1500);
});

test("a quota that is used up is left alone for an hour", async (t) => {
  const failure = await refusedWith(t, {
    status: 429, json: { error: { code: "insufficient_quota", message: "You exceeded your current quota" } },
  });
  assert.deepEqual([failure.code, failure.retryAfterMs], ["ERR_RATE_LIMIT", 3_600_000]);
});

test("content that is refused is refused for good", async (t) => {
  for (const error of [
    { code: "content_policy_violation", message: "Your request was rejected as a result of our safety system." },
    { code: "moderation_blocked", message: "Your request was blocked." },
    { code: null, message: "This violates our content policy." },
  ]) {
    const failure = await refusedWith(t, { status: 400, json: { error } });
    assert.deepEqual([failure.code, failure.retryable], ["ERR_INVALID_PROMPT", false]);
    assert.equal(failure.reason, error.message);
  }
});

test("a key that is not good sends the job elsewhere, and this browser gets no more for a while", async (t) => {
  for (const status of [401, 403]) {
    const failure = await refusedWith(t, { status, json: { error: { message: "Incorrect API key provided" } } });
    assert.deepEqual([failure.code, failure.retryable], ["ERR_GENERATION_FAILED", true]);
    assert.equal(failure.retryAfterMs, 900_000);
    assert.match(failure.reason, /Incorrect API key provided/);
  }
});

test("what else goes wrong says whether another try makes sense", async (t) => {
  const told = async (status) => {
    const { code, retryable } = await refusedWith(t, { status, json: { error: "words" } });
    return [code, retryable];
  };
  assert.deepEqual(await told(400), ["ERR_GENERATION_FAILED", false]);
  assert.deepEqual(await told(404), ["ERR_GENERATION_FAILED", true]);
  assert.deepEqual(await told(500), ["ERR_GENERATION_FAILED", true]);
  assert.deepEqual(await told(504), ["ERR_TIMEOUT", true]);
});

test("an answer that is no picture is a failure, not a picture", async (t) => {
  for (const answer of [
    { bytes: "<html>" }, { json: {} }, { json: { data: [{}] } }, { json: { data: [{ b64_json: "!!" }] } },
    { json: { data: [{ b64_json: Buffer.from("<svg/>").toString("base64") }] } },
  ]) {
    const failure = await refusedWith(t, answer);
    assert.equal(failure.name, "Failure", JSON.stringify(answer));
  }
});

test("an answer without end is not read to its end", async (t) => {
  const failure = await refusedWith(t, { bytes: Buffer.alloc(50 * 1024 * 1024, " ") });
  assert.match(failure.reason, /sent more than 49152 KiB/);
});

test("one that does not answer is waited for as long as is set, no longer", async (t) => {
  const { url } = await serving(t, () => undefined);
  const failure = await rejection(generate(url, { timeoutS: 0.05 }));
  assert.equal(failure.code, "ERR_TIMEOUT");
});

test("one that is not there is told from one that may not be reached yet", async () => {
  const nowhere = "http://127.0.0.1:9";
  assert.match((await rejection(generate(nowhere))).reason, /is it running/);
  globalThis.chrome = { permissions: { contains: async () => false } };
  try {
    assert.match((await rejection(generate(nowhere))).reason, /allow it in the options/);
  } finally {
    delete globalThis.chrome;
  }
});

test("work that is not wanted ends with the reason for that", async (t) => {
  const stop = new AbortController();
  const { url } = await serving(t, () => {
    stop.abort(new Error("not wanted"));
  });
  assert.equal((await rejection(generate(url, {}, {}, stop.signal))).message, "not wanted");
});

test("the check counts the models", async (t) => {
  const { url, asked } = await serving(t, () => ({ json: { data: [{ id: "a" }, { id: "b" }] } }));
  const words = await openai.check({ address: `${url}/v1`, key: "k" }, new AbortController().signal);
  assert.equal(words, "It answers, with 2 models.");
  assert.equal(asked[0].path, "/v1/models");
});
