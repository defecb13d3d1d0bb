// The AUTOMATIC1111 provider, with a server that has its API.

import assert from "node:assert/strict";
import { test } from "node:test";
import { automatic1111 } from "../../../../extension/providers/automatic1111.js";
import { generationContext, inputsOf, PICTURE, pictureRequest, rejection, startServer } from "./support.js";

const DONE = { json: { images: [PICTURE.base64], parameters: {}, info: "{}" } };

/** The web UI; `work` handles txt2img, and `state` is the response for the progress. */
const startWebUi = (t, { work = () => DONE, state = () => ({ progress: 0 }) } = {}) => startServer(t, (request) => {
  switch (request.path) {
    case "/sdapi/v1/txt2img":
    case "/sdapi/v1/img2img": return work(request);
    case "/sdapi/v1/progress": return { json: state(request) };
    case "/sdapi/v1/interrupt": return { json: {} };
    case "/sdapi/v1/sd-models": return { json: [{ title: "a" }] };
    default: return { status: 404, json: { detail: "Not Found" } };
  }
});
const generate = (url, settings = {}, order = {}, ...more) => {
  const context = generationContext({ address: url, ...settings }, ...more);
  return { result: automatic1111.generate(pictureRequest(order), context), reports: context.reports };
};
const paths = ({ requests }) => requests.map(({ path }) => path.replace("/sdapi/v1/", ""));

/** A promise, and a function that resolves it. */
function deferred() {
  let resolve;
  const promise = new Promise((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

test("the request follows the settings, and the picture is returned", async (t) => {
  const ui = await startWebUi(t);
  const settings = {
    user: "ann", password: "pässword", negative: "blurry", sampler: "Euler", checkpoint: "v1.safetensors", steps: 12,
    cfgScale: 5, extra: { tiling: true },
  };
  const { result, reports } = generate(ui.url, settings, { width: 645, height: 30, parameters: { seed: 5 } });
  assert.deepEqual(Buffer.from(await (await result).arrayBuffer()), PICTURE.bytes);
  const { json, headers } = ui.requests.find(({ path }) => path.endsWith("txt2img"));
  assert.equal(Buffer.from(headers.authorization.slice(6), "base64").toString(), "ann:pässword");
  const { force_task_id: task, ...fields } = json;
  assert.match(task, /^imagefleet-/);
  assert.deepEqual(fields, {
    prompt: "a red fox", negative_prompt: "blurry", width: 648, height: 64, steps: 12, cfg_scale: 5, seed: 5,
    batch_size: 1, n_iter: 1, send_images: true, sampler_name: "Euler", tiling: true,
    override_settings: { sd_model_checkpoint: "v1.safetensors" },
  });
  assert.equal(reports.at(-1).percent, 100);
});

test("a job's steps, guidance and negative prompt are used if they are valid", async (t) => {
  const ui = await startWebUi(t);
  await generate(ui.url, {}, { parameters: { steps: 9, cfgScale: 3.5, negativePrompt: "text" } }).result;
  await generate(ui.url, {}, { parameters: { steps: 9000, cfgScale: "x", negativePrompt: 7 } }).result;
  const requests = ui.requests.filter(({ path }) => path.endsWith("txt2img"))
    .map(({ json }) => [json.steps, json.cfg_scale, json.negative_prompt]);
  assert.deepEqual(requests, [[9, 3.5, "text"], [25, 7, ""]]);
});

test("progress is polled and reported", async (t) => {
  const { promise, resolve } = deferred();
  let count = 0;
  const ui = await startWebUi(t, {
    work: async () => {
      await promise;
      return DONE;
    },
    state: () => {
      count += 1;
      if (count === 2) resolve();
      return { progress: 0.4 };
    },
  });
  const { result, reports } = generate(ui.url);
  await result;
  assert.ok(reports.some(({ percent, message }) => percent === 40 && message === "Generating"));
});

test("the unfinished picture is fetched only when a preview is due", async (t) => {
  const { promise, resolve } = deferred();
  let polls = 0;
  const ui = await startWebUi(t, {
    work: async () => {
      await promise;
      return DONE;
    },
    state: ({ query }) => {
      polls += 1;
      if (polls === 3) resolve();
      const withImage = query.get("skip_current_image") === "false";
      return { progress: 0.5, current_image: withImage ? PICTURE.base64 : null };
    },
  });
  const shown = [];
  const previews = {
    get isDue() {
      return shown.length === 0;
    },
    show: async (blob) => shown.push(blob.type),
  };
  const context = { ...generationContext({ address: ui.url }), previews };
  await automatic1111.generate(pictureRequest(), context);
  assert.deepEqual(shown, ["image/png"]);
  const asked = ui.requests.filter(({ path }) => path.endsWith("/progress"))
    .map(({ query }) => query.get("skip_current_image"));
  assert.deepEqual(asked.slice(0, 3), ["false", "true", "true"]);
});

test("an aborted task is interrupted", async (t) => {
  const stop = new AbortController();
  const ui = await startWebUi(t, { work: () => stop.abort(new Error("aborted")) });
  const { result } = generate(ui.url, {}, {}, stop.signal);
  assert.equal((await rejection(result)).message, "aborted");
  assert.equal(paths(ui).at(-1), "interrupt");
});

test("another task is not interrupted", async (t) => {
  const stop = new AbortController();
  const ui = await startWebUi(t, {
    work: () => stop.abort(new Error("aborted")), state: () => ({ progress: 0.5, current_task: "task(theirs)" }),
  });
  await rejection(generate(ui.url, {}, {}, stop.signal).result);
  assert.equal(paths(ui).includes("interrupt"), false);
});

test("tasks run one after the other, and aborting a waiting one does not affect the others", async (t) => {
  const { promise, resolve } = deferred();
  const ui = await startWebUi(t, {
    work: async () => {
      await promise;
      return DONE;
    },
  });
  const stop = new AbortController();
  const first = generate(ui.url);
  const second = generate(ui.url, {}, {}, stop.signal);
  const third = generate(ui.url);
  stop.abort(new Error("aborted"));
  assert.equal((await rejection(second.result)).message, "aborted");
  resolve();
  await Promise.all([first.result, third.result]);
  assert.equal(paths(ui).filter((path) => path === "txt2img").length, 2);
  assert.equal(paths(ui).includes("interrupt"), false);
});

test("a task that takes too long is interrupted and fails with a timeout", async (t) => {
  const ui = await startWebUi(t, { work: () => undefined });
  const failure = await rejection(generate(ui.url, { timeoutS: 0.1 }).result);
  assert.equal(failure.code, "ERR_TIMEOUT");
  assert.equal(paths(ui).at(-1), "interrupt");
});

test("its error messages are passed on", async (t) => {
  const failureFor = async (answer) => rejection(generate((await startWebUi(t, { work: () => answer })).url).result);
  const memory = await failureFor({ status: 500, json: { error: "OutOfMemoryError", errors: "CUDA out of memory." } });
  assert.match(memory.reason, /OutOfMemoryError: CUDA out of memory/);
  assert.equal(memory.retryable, true);
  const access = await failureFor({ status: 401, json: { detail: "Incorrect username or password" } });
  assert.deepEqual([access.retryAfterMs, access.retryable], [900_000, true]);
  const missing = await failureFor({ status: 404, json: { detail: "Not Found" } });
  assert.match(missing.reason, /started with --api\?/);
  const sampler = await failureFor({ status: 404, json: { detail: "Sampler not found" } });
  assert.match(sampler.reason, /\(404\): Sampler not found/);
  assert.equal((await failureFor({ json: { images: [] } })).error, "No picture received");
});

const REFUSED = { status: 422, json: { detail: [{ loc: ["body", "width"], msg: "value is not a valid integer" }] } };
const startForCheck = (t, { post = REFUSED, models = [{ title: "a.safetensors [1f]", model_name: "a" }] } = {}) =>
  startServer(t, ({ path }) => ({
    "/sdapi/v1/txt2img": post, "/sdapi/v1/sd-models": { json: models },
    "/sdapi/v1/samplers": { json: [{ name: "Euler a", aliases: ["k_euler_a"] }] },
  }[path]));
const check = (url, settings = {}) => automatic1111.check({ address: url, ...settings }, new AbortController().signal);

test("the check asks for a picture that is refused, and looks up the checkpoint and the sampler", async (t) => {
  const { url, requests } = await startForCheck(t);
  assert.equal(await check(url, { checkpoint: "a", sampler: "k_euler_a" }), "Connected. Checkpoints: 1.");
  const posts = requests.filter(({ method }) => method === "POST");
  assert.deepEqual(posts.map(({ path, json }) => [path, json]), [["/sdapi/v1/txt2img", { width: "check" }]]);
});

test("the check fails where a job would, and names the remedy", async (t) => {
  const reasonFor = async (options, settings) => {
    return (await rejection(check((await startForCheck(t, options)).url, settings))).reason;
  };
  assert.match(await reasonFor({ post: { status: 404, json: {} } }), /started with --api\?/);
  assert.match(await reasonFor({ post: { status: 401, json: {} } }), /rejected the key or password/);
  assert.match(await reasonFor({ models: [] }), /no checkpoint\. Put one into/);
  assert.match(await reasonFor({}, { checkpoint: "b" }), /no checkpoint "b"\. Choose another one/);
  assert.match(await reasonFor({}, { sampler: "DPM" }), /no sampler "DPM"\. Choose another one/);
});

for (const [strength, expected] of [[undefined, 0.75], [0, 0], [1, 1]]) {
  test(`a variation with the strength ${strength} is made from the picture (img2img)`, async (t) => {
    const ui = await startWebUi(t);
    const context = generationContext({ address: ui.url, extra: { tiling: true } });
    const request = pictureRequest({ inputs: inputsOf({ strength }), parameters: { seed: 5, steps: 9 } });
    const blob = await automatic1111.generate(request, context);
    assert.deepEqual(Buffer.from(await blob.arrayBuffer()), PICTURE.bytes);
    const { json: { force_task_id: task, ...fields } } = ui.requests.find(({ path }) => path.endsWith("img2img"));
    assert.match(task, /^imagefleet-/);
    assert.deepEqual(fields, {
      prompt: "a red fox", negative_prompt: "", width: 640, height: 480, steps: 9, cfg_scale: 7, seed: 5,
      batch_size: 1, n_iter: 1, send_images: true, tiling: true,
      init_images: [`data:image/png;base64,${PICTURE.base64}`], denoising_strength: expected, resize_mode: 1,
    });
    assert.deepEqual(context.values.parameters, ["seed", "strength", "steps"]);
    assert.equal(ui.requests.some(({ path }) => path.endsWith("txt2img")), false);
  });
}
