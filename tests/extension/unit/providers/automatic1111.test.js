// Asking AUTOMATIC1111's web UI, against a server that speaks its API.

import assert from "node:assert/strict";
import { test } from "node:test";
import { automatic1111 } from "../../../../extension/providers/automatic1111.js";
import { anOrder, help, PICTURE, rejection, serving } from "./support.js";

const DONE = { json: { images: [PICTURE.base64], parameters: {}, info: "{}" } };

/** Answers as it does; `work` answers the one long question. `state` is what it says of its progress. */
const webui = (test_, { work = () => DONE, state = () => ({ progress: 0 }) } = {}) => serving(test_, (question) => {
  switch (question.path) {
    case "/sdapi/v1/txt2img": return work(question);
    case "/sdapi/v1/progress": return { json: state(question) };
    case "/sdapi/v1/interrupt": return { json: {} };
    case "/sdapi/v1/sd-models": return { json: [{ title: "a" }] };
    default: return { status: 404, json: { detail: "Not Found" } };
  }
});
const generate = (url, settings = {}, order = {}, ...more) => {
  const given = help({ address: url, ...settings }, ...more);
  return { made: automatic1111.generate(anOrder(order), given), heard: given.heard };
};
const paths = ({ asked }) => asked.map(({ path }) => path.replace("/sdapi/v1/", ""));

/** A promise and what fulfils it. */
function opened() {
  let open;
  const gate = new Promise((resolve) => {
    open = resolve;
  });
  return { gate, open };
}

test("the picture arrives, and was asked for as the settings say", async (t) => {
  const ui = await webui(t);
  const settings = {
    user: "ann", password: "pässword", negative: "blurry", sampler: "Euler", checkpoint: "v1.safetensors", steps: 12,
    cfgScale: 5, extra: { tiling: true },
  };
  const { made, heard } = generate(ui.url, settings, { width: 645, height: 30, parameters: { seed: 5 } });
  assert.deepEqual(Buffer.from(await (await made).arrayBuffer()), PICTURE.bytes);
  const { json, headers } = ui.asked.find(({ path }) => path.endsWith("txt2img"));
  assert.equal(Buffer.from(headers.authorization.slice(6), "base64").toString(), "ann:pässword");
  const { force_task_id: task, ...fields } = json;
  assert.match(task, /^imagefleet-/);
  assert.deepEqual(fields, {
    prompt: "a red fox", negative_prompt: "blurry", width: 648, height: 64, steps: 12, cfg_scale: 5, seed: 5,
    batch_size: 1, n_iter: 1, send_images: true, sampler_name: "Euler", tiling: true,
    override_settings: { sd_model_checkpoint: "v1.safetensors" },
  });
  assert.equal(heard.at(-1).percent, 100);
});

test("what a job says of steps, guidance and what is not wanted counts, where it makes sense", async (t) => {
  const ui = await webui(t);
  await generate(ui.url, {}, { parameters: { steps: 9, cfgScale: 3.5, negativePrompt: "text" } }).made;
  await generate(ui.url, {}, { parameters: { steps: 9000, cfgScale: "x", negativePrompt: 7 } }).made;
  const asked = ui.asked.filter(({ path }) => path.endsWith("txt2img"))
    .map(({ json }) => [json.steps, json.cfg_scale, json.negative_prompt]);
  assert.deepEqual(asked, [[9, 3.5, "text"], [25, 7, ""]]);
});

test("progress is asked for while it works, and told", async (t) => {
  const { gate, open } = opened();
  let count = 0;
  const ui = await webui(t, {
    work: async () => {
      await gate;
      return DONE;
    },
    state: () => {
      count += 1;
      if (count === 2) open();
      return { progress: 0.4 };
    },
  });
  const { made, heard } = generate(ui.url);
  await made;
  assert.ok(heard.some(({ percent, words }) => percent === 40 && words === "Generating"));
});

test("work that is not wanted is interrupted", async (t) => {
  const stop = new AbortController();
  const ui = await webui(t, { work: () => stop.abort(new Error("not wanted")) });
  const { made } = generate(ui.url, {}, {}, stop.signal);
  assert.equal((await rejection(made)).message, "not wanted");
  assert.equal(paths(ui).at(-1), "interrupt");
});

test("somebody else's work is not interrupted", async (t) => {
  const stop = new AbortController();
  const ui = await webui(t, {
    work: () => stop.abort(new Error("not wanted")), state: () => ({ progress: 0.5, current_task: "task(theirs)" }),
  });
  await rejection(generate(ui.url, {}, {}, stop.signal).made);
  assert.equal(paths(ui).includes("interrupt"), false);
});

test("two orders are worked on one after the other, and giving up the second leaves the first alone", async (t) => {
  const { gate, open } = opened();
  const ui = await webui(t, {
    work: async () => {
      await gate;
      return DONE;
    },
  });
  const stop = new AbortController();
  const first = generate(ui.url);
  const second = generate(ui.url, {}, {}, stop.signal);
  const third = generate(ui.url);
  stop.abort(new Error("not wanted"));
  assert.equal((await rejection(second.made)).message, "not wanted");
  open();
  await Promise.all([first.made, third.made]);
  assert.equal(paths(ui).filter((path) => path === "txt2img").length, 2);
  assert.equal(paths(ui).includes("interrupt"), false);
});

test("work that takes too long is interrupted, and said to", async (t) => {
  const ui = await webui(t, { work: () => undefined });
  const failure = await rejection(generate(ui.url, { timeoutS: 0.1 }).made);
  assert.equal(failure.code, "ERR_TIMEOUT");
  assert.equal(paths(ui).at(-1), "interrupt");
});

test("what it says of a failure is passed on", async (t) => {
  const told = async (answer) => rejection(generate((await webui(t, { work: () => answer })).url).made);
  const memory = await told({ status: 500, json: { error: "OutOfMemoryError", errors: "CUDA out of memory." } });
  assert.match(memory.reason, /OutOfMemoryError: CUDA out of memory/);
  assert.equal(memory.retryable, true);
  const access = await told({ status: 401, json: { detail: "Incorrect username or password" } });
  assert.deepEqual([access.retryAfterMs, access.retryable], [900_000, true]);
  const missing = await told({ status: 404, json: { detail: "Not Found" } });
  assert.match(missing.reason, /started with --api\?/);
  assert.equal((await told({ json: { images: [] } })).error, "No picture came");
});

test("the check counts the checkpoints", async (t) => {
  const { url } = await webui(t);
  const words = await automatic1111.check({ address: url }, new AbortController().signal);
  assert.equal(words, "It answers, with 1 checkpoints.");
});
