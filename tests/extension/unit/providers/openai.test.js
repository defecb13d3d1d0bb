// The provider for images APIs, with a server that has one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openai } from "../../../../extension/providers/openai.js";
import { requestBody } from "../../../../extension/providers/openai_request.js";
import { generationContext, inputsOf, PICTURE, pictureRequest, rejection, startServer } from "./support.js";

const inBase64 = () => ({ json: { created: 1, data: [{ b64_json: PICTURE.base64 }] } });
const generate = (url, settings = {}, order = {}, signal = undefined) =>
  openai.generate(pictureRequest(order), generationContext({ address: `${url}/v1/`, key: "k-1", ...settings }, signal));
const failureFor = async (test_, response) => {
  const { url } = await startServer(test_, () => response);
  return rejection(generate(url));
};

test("a picture in base64 is returned unchanged, and the key is sent", async (t) => {
  const { url, requests } = await startServer(t, inBase64);
  const blob = await generate(url);
  assert.deepEqual(Buffer.from(await blob.arrayBuffer()), PICTURE.bytes);
  assert.equal(blob.type, "image/png");
  const [{ method, path, headers, json }] = requests;
  assert.deepEqual([method, path, headers.authorization], ["POST", "/v1/images/generations", "Bearer k-1"]);
  assert.deepEqual(json, {
    model: "some-model", prompt: "a red fox", n: 1, size: "640x480", response_format: "b64_json",
  });
});

test("a picture at an address is downloaded without the key", async (t) => {
  const { url, requests } = await startServer(t, ({ method }) =>
    (method === "POST" ? { json: { data: [{ url: "/files/1.png" }] } } : { bytes: PICTURE.bytes }));
  const blob = await generate(url);
  assert.deepEqual(Buffer.from(await blob.arrayBuffer()), PICTURE.bytes);
  assert.deepEqual([requests[1].path, requests[1].headers.authorization], ["/files/1.png", undefined]);
});

test("a picture that is not at its address yet is fetched again, and not asked for again", async (t) => {
  let isThere = false;
  const { url, requests } = await startServer(t, ({ method }) => {
    if (method === "POST") return { json: { data: [{ url: "/files/1.png" }] } };
    if (isThere) return { bytes: PICTURE.bytes };
    isThere = true;
    return { status: 404 };
  });
  assert.equal((await generate(url)).type, "image/png");
  assert.deepEqual(requests.map(({ method }) => method), ["POST", "GET", "GET"]);
});

test("a picture that stays away is a failure without a long pause", async (t) => {
  const { url, requests } = await startServer(t, ({ method }) => {
    return method === "POST" ? { json: { data: [{ url: "/files/1.png" }] } } : { status: 403 };
  });
  const { reason, retryable, retryAfterMs } = await rejection(generate(url));
  assert.match(reason, /does not have the picture \(403\)/);
  assert.deepEqual([retryable, retryAfterMs, requests.length], [true, undefined, 4]);
});

test("an unencrypted address at another host is not requested, unless it is in the settings", async (t) => {
  const other = await startServer(t, () => ({ bytes: PICTURE.bytes }));
  const { url } = await startServer(t, () => ({ json: { data: [{ url: `${other.url}/1.png` }] } }));
  assert.match((await rejection(generate(url))).reason, /is not allowed/);
  assert.equal(other.requests.length, 0);
  await generate(url, { pictures: other.url });
  assert.equal(other.requests.length, 1);
});

test("each model family gets its own fields and sizes", () => {
  const wide = pictureRequest({ width: 1600, height: 900, parameters: { quality: "hd", style: "natural" } });
  const requests = (model, settings = {}) => requestBody({ ...wide, model }, settings);
  assert.deepEqual(requests("gpt-image-1"), {
    model: "gpt-image-1", prompt: "a red fox", n: 1, size: "1536x1024", quality: "high",
  });
  assert.deepEqual(requests("dall-e-3"), {
    model: "dall-e-3", prompt: "a red fox", n: 1, size: "1792x1024", quality: "hd", style: "natural",
    response_format: "b64_json",
  });
  assert.equal(requestBody(pictureRequest({ model: "dall-e-2", width: 300, height: 200 }), {}).size, "256x256");
  assert.equal(requests("dall-e-3", { size: "exact" }).size, "1600x900");
  assert.equal("size" in requests("dall-e-3", { size: "none" }), false);
});

test("the user's model names and extra fields are used", () => {
  const extra = { response_format: null, user: "me" };
  const settings = { mapping: { "dall-e-3": "gpt-image-1" }, model: "flux", extra };
  assert.equal(requestBody(pictureRequest({ model: "dall-e-3" }), settings).model, "gpt-image-1");
  const other = requestBody(pictureRequest({ model: "constructor" }), settings);
  assert.deepEqual([other.model, other.user, "response_format" in other], ["flux", "me", false]);
});

test("status 429 becomes a rate limit with the requested delay", async (t) => {
  const headers = { "Retry-After": "7" };
  const failure = await failureFor(t, { status: 429, headers, json: { error: { message: "Slow down" } } });
  assert.equal(failure.code, "ERR_RATE_LIMIT");
  assert.deepEqual([failure.retryable, failure.retryAfterMs], [true, 7000]);
  assert.match(failure.reason, /Slow down/);
});

test("a delay may be a date, is at most a day, and defaults to a minute", async (t) => {
  const delay = async (headers) => (await failureFor(t, { status: 429, headers })).retryAfterMs;
  const soon = await delay({ "Retry-After": new Date(Date.now() + 90_000).toUTCString() });
  assert.ok(soon > 30_000 && soon <= 90_000, `${soon} ms`);
  assert.equal(await delay({ "Retry-After": "99999999" }), 86_400_000);
  assert.equal(await delay({ "Retry-After": "soon" }), 60_000);
  assert.equal(await delay({ "retry-after-ms": "1500", "Retry-After": "2" }), 1500);
});

test("an exhausted quota means no requests for an hour", async (t) => {
  const failure = await failureFor(t, {
    status: 429, json: { error: { code: "insufficient_quota", message: "You exceeded your current quota" } },
  });
  assert.deepEqual([failure.code, failure.retryAfterMs], ["ERR_RATE_LIMIT", 3_600_000]);
});

test("refused content is not retried", async (t) => {
  for (const error of [
    { code: "content_policy_violation", message: "Your request was rejected as a result of our safety system." },
    { code: "moderation_blocked", message: "Your request was blocked." },
    { code: null, message: "This violates our content policy." },
  ]) {
    const failure = await failureFor(t, { status: 400, json: { error } });
    assert.deepEqual([failure.code, failure.retryable], ["ERR_INVALID_PROMPT", false]);
    assert.equal(failure.reason, error.message);
  }
});

test("an invalid key is retried by other extensions, and this browser gets no jobs for a while", async (t) => {
  for (const status of [401, 403]) {
    const failure = await failureFor(t, { status, json: { error: { message: "Incorrect API key provided" } } });
    assert.deepEqual([failure.code, failure.retryable], ["ERR_GENERATION_FAILED", true]);
    assert.equal(failure.retryAfterMs, 900_000);
    assert.match(failure.reason, /Incorrect API key provided/);
  }
});

test("other errors are retryable depending on the status", async (t) => {
  const resultFor = async (status) => {
    const { code, retryable } = await failureFor(t, { status, json: { error: "message" } });
    return [code, retryable];
  };
  assert.deepEqual(await resultFor(400), ["ERR_GENERATION_FAILED", false]);
  assert.deepEqual(await resultFor(404), ["ERR_GENERATION_FAILED", true]);
  assert.deepEqual(await resultFor(500), ["ERR_GENERATION_FAILED", true]);
  assert.deepEqual(await resultFor(504), ["ERR_TIMEOUT", true]);
});

test("a response without a picture is a failure", async (t) => {
  for (const response of [
    { bytes: "<html>" }, { json: {} }, { json: { data: [{}] } }, { json: { data: [{ b64_json: "!!" }] } },
    { json: { data: [{ b64_json: Buffer.from("<svg/>").toString("base64") }] } },
  ]) {
    const failure = await failureFor(t, response);
    assert.equal(failure.name, "Failure", JSON.stringify(response));
  }
});

test("a response that is too large is not read completely", async (t) => {
  const failure = await failureFor(t, { bytes: Buffer.alloc(50 * 1024 * 1024, " ") });
  assert.match(failure.reason, /sent more than 49152 KiB/);
});

test("a server that does not respond causes a timeout", async (t) => {
  const { url } = await startServer(t, () => undefined);
  const failure = await rejection(generate(url, { timeoutS: 0.05 }));
  assert.equal(failure.code, "ERR_TIMEOUT");
});

test("an unreachable host is distinguished from one without permission", async () => {
  const nowhere = "http://127.0.0.1:9";
  assert.match((await rejection(generate(nowhere))).reason, /Is it running/);
  globalThis.chrome = { permissions: { contains: async () => false } };
  try {
    assert.match((await rejection(generate(nowhere))).reason, /Allow it in the settings/);
  } finally {
    delete globalThis.chrome;
  }
});

test("an aborted request rejects with the signal's reason", async (t) => {
  const stop = new AbortController();
  const { url } = await startServer(t, () => {
    stop.abort(new Error("aborted"));
  });
  assert.equal((await rejection(generate(url, {}, {}, stop.signal))).message, "aborted");
});

/** A service that refuses a request without a prompt, as every one does. */
const startForCheck = (t, { post = { status: 400, json: { error: { message: "prompt is missing" } } }, list } = {}) =>
  startServer(t, ({ method }) => (method === "POST" ? post : list ?? { json: { data: [{ id: "a" }, { id: "b" }] } }));
const check = (url, settings = {}) => {
  return openai.check({ address: `${url}/v1`, key: "k", ...settings }, new AbortController().signal);
};

test("the check asks for a picture without a prompt, which costs nothing, and lists the models", async (t) => {
  const { url, requests } = await startForCheck(t);
  assert.equal(await check(url), "Connected. Models: 2.");
  assert.deepEqual(requests.map(({ method, path, json }) => [method, path, json]), [
    ["POST", "/v1/images/generations", {}], ["GET", "/v1/models", undefined],
  ]);
});

test("a key that may only make pictures is good", async (t) => {
  const { url } = await startForCheck(t, { list: { status: 403, json: {} } });
  assert.match(await check(url), /^Connected\./);
});

test("the check fails where a job would, and names the remedy", async (t) => {
  const reasonFor = async (options, settings) => {
    return (await rejection(check((await startForCheck(t, options)).url, settings))).reason;
  };
  const error = { message: "Missing scopes: model.images.request" };
  assert.match(await reasonFor({ post: { status: 401, json: { error } } }), /rejected the key.*Missing scopes/);
  assert.match(await reasonFor({ post: { status: 404, json: {} } }), /does not have this address/);
  const quota = { code: "insufficient_quota", message: "You exceeded your current quota" };
  assert.match(await reasonFor({ post: { status: 429, json: { error: quota } } }), /billing problem/);
  assert.match(await reasonFor({}, { model: "c" }), /no model "c"\. Choose another one/);
});

// Input pictures

/** The fields of the form that is sent for these inputs, and the values that are reported as used. */
async function edit(t, changes, settings = {}) {
  const { url, requests } = await startServer(t, inBase64);
  const context = generationContext({ address: `${url}/v1`, key: "k-1", ...settings });
  await openai.generate(pictureRequest({ inputs: inputsOf(), ...changes }), context);
  const [{ path, form, headers }] = requests;
  const files = {};
  const fields = {};
  for (const [name, value] of form) {
    if (typeof value === "string") fields[name] = value;
    else (files[name] ??= []).push([value.name, value.type, value.size]);
  }
  return { path, headers, files, fields, used: context.values };
}

test("a variation is an edit without a mask", async (t) => {
  const { path, headers, files, fields, used } = await edit(t, {
    inputs: inputsOf({ strength: 0.5 }), model: "gpt-image-1", parameters: { quality: "hd" },
  });
  assert.equal(path, "/v1/images/edits");
  assert.equal(headers.authorization, "Bearer k-1");
  assert.match(headers["idempotency-key"], /^[0-9a-f-]{36}$/);
  assert.deepEqual(fields, { model: "gpt-image-1", prompt: "a red fox", n: "1", size: "1536x1024", quality: "high" });
  assert.deepEqual(files, { image: [["image-1.png", "image/png", PICTURE.bytes.length]] });
  assert.equal(used.parameters.includes("strength"), false, "it is reported as ignored");
});

test("an edit has a mask, and several pictures have one name", async (t) => {
  const [blob] = inputsOf().images;
  const { files, fields } = await edit(t, {
    inputs: inputsOf({ images: [blob, blob], mask: blob }), parameters: { seed: 7 },
  }, { extra: { user: "me", input_fidelity: "high", partial: { of: 1 } } });
  const size = PICTURE.bytes.length;
  assert.deepEqual(files, {
    "image[]": [["image-1.png", "image/png", size], ["image-2.png", "image/png", size]],
    "mask": [["mask.png", "image/png", size]],
  });
  assert.deepEqual([fields.user, fields.input_fidelity, fields.partial, fields.seed], ["me", "high", '{"of":1}', "7"]);
});

test("what a model can do with input pictures depends on its family", () => {
  const can = (model, settings = {}) => openai.inputs(settings, model).operations;
  assert.deepEqual(can("gpt-image-1"), ["image-variation", "image-edit"]);
  assert.deepEqual(can("flux-kontext"), ["image-variation", "image-edit"]);
  assert.deepEqual(can("*"), ["image-variation", "image-edit"]);
  assert.deepEqual(can("dall-e-3"), []);
  assert.deepEqual(can("dall-e-2"), ["image-edit"]);
  assert.deepEqual(can("dall-e-3", { mapping: { "dall-e-3": "gpt-image-1" } }), ["image-variation", "image-edit"]);
  assert.deepEqual(can("*", { model: "dall-e-3" }), []);
});

const EVENTS = { "Content-Type": "text/event-stream; charset=utf-8" };
const eventOf = (type, fields) => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
const PARTIAL = eventOf("image_generation.partial_image", { b64_json: PICTURE.base64, partial_image_index: 0 });

test("partial images are asked for only if the user set it and somebody wants previews", async (t) => {
  const { url, requests } = await startServer(t, inBase64);
  const previews = { isDue: true, show: async () => {} };
  const context = (settings, more) => ({ ...generationContext({ address: `${url}/v1`, ...settings }), ...more });
  await openai.generate(pictureRequest(), context({ partialImages: 2 }, { previews }));
  await openai.generate(pictureRequest(), context({ partialImages: 2 }, {}));
  await openai.generate(pictureRequest(), context({}, { previews }));
  assert.deepEqual(requests.map(({ json }) => [json.stream, json.partial_images]), [
    [true, 2], [undefined, undefined], [undefined, undefined],
  ]);
});

test("streamed partial images become previews, and the last event is the picture", async (t) => {
  const last = eventOf("image_generation.completed", { b64_json: PICTURE.base64 });
  const bytes = `: accepted\n\n${PARTIAL}data: no JSON\n\n${PARTIAL.replaceAll("\n", "\r\n")}${last}`;
  const { url } = await startServer(t, () => ({ headers: EVENTS, bytes }));
  const shown = [];
  const context = generationContext({ address: `${url}/v1`, partialImages: 2 });
  const previews = { isDue: true, show: async (blob) => shown.push(blob.type) };
  const blob = await openai.generate(pictureRequest(), { ...context, previews });
  assert.deepEqual(Buffer.from(await blob.arrayBuffer()), PICTURE.bytes);
  assert.deepEqual(shown, ["image/png", "image/png"]);
  assert.deepEqual(context.reports.map(({ percent }) => percent), [5, 34, 67, 90, 100]);
});

test("an error in a stream, or its end without a picture, is a failure", async (t) => {
  const previews = { isDue: true, show: async () => {} };
  const error = eventOf("error", { error: { message: "content policy", type: "invalid_request_error" } });
  for (const [bytes, code, words] of [
    [PARTIAL + error, "ERR_INVALID_PROMPT", /content policy/],
    [PARTIAL, "ERR_GENERATION_FAILED", /without a picture/],
    [PARTIAL.slice(0, 50), "ERR_GENERATION_FAILED", /without a picture/],
  ]) {
    const { url } = await startServer(t, () => ({ headers: EVENTS, bytes }));
    const context = { ...generationContext({ address: `${url}/v1`, partialImages: 1 }), previews };
    const failure = await rejection(openai.generate(pictureRequest(), context));
    assert.equal(failure.code, code);
    assert.match(failure.reason, words);
  }
});
