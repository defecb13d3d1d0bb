// Seeds and other parameters: used, or refused with a reason, and reported.

import assert from "node:assert/strict";
import { test } from "node:test";
import { automatic1111 } from "../../../../extension/providers/automatic1111.js";
import { comfyui } from "../../../../extension/providers/comfyui.js";
import { openai } from "../../../../extension/providers/openai.js";
import { pictureSize } from "../../../../extension/providers/picture_size.js";
import { MAX_EXACT_SEED, seedOf } from "../../../../extension/providers/seeds.js";
import { usedValues } from "../../../../extension/worker/used_values.js";
import { generationContext, PICTURE, pictureRequest, rejection, startServer } from "./support.js";

const LARGEST = "18446744073709551615";
const seedFor = (seed, position = 0, max = undefined) => {
  return seedOf(pictureRequest({ parameters: { seed }, position }), max);
};
const invalid = (pattern) => (failure) => failure.retryable === false && pattern.test(failure.reason);

test("a seed is used as a number or as text, and beyond 2^53 it stays text", () => {
  assert.equal(seedFor(42), 42);
  assert.equal(seedFor("42"), 42);
  assert.equal(seedFor(2 ** 53 - 1), 9007199254740991);
  assert.equal(seedFor("9007199254740993"), "9007199254740993");
  assert.equal(seedFor(LARGEST), LARGEST);
});

test("each picture of a job has the next seed, and the largest is followed by 0", () => {
  assert.equal(seedFor(5, 2), 7);
  assert.equal(seedFor(LARGEST, 1), 0);
  assert.equal(seedFor(2 ** 53 - 1, 1), "9007199254740992");
});

test("a seed that cannot be used is refused with a reason, and not replaced", () => {
  for (const seed of [1.5, "x", "", true, {}, 2 ** 60, "1e3"]) {
    assert.throws(() => seedFor(seed), invalid(/whole number/));
  }
  assert.throws(() => seedFor(-2), invalid(/from 0 to 18446744073709551615/));
  assert.throws(() => seedFor("18446744073709551616"), invalid(/from 0 to/));
  assert.throws(() => seedFor("9007199254740992", 0, MAX_EXACT_SEED), invalid(/from 0 to 9007199254740991/));
});

test("without a seed one is chosen, the same for every worker of an attempt", () => {
  for (const seed of [undefined, null, -1, "-1"]) {
    const request = pictureRequest({ parameters: { seed } });
    assert.equal(seedOf(request), seedOf(request));
    assert.notEqual(seedOf(request), seedOf({ ...request, attempt: "another" }));
    assert.ok(Number.isInteger(seedOf(request)) && seedOf(request) >= 0 && seedOf(request) < 2 ** 32);
  }
});

test("ComfyUI gets a large seed as text, which it converts exactly", async (t) => {
  const { url, requests } = await startServer(t, ({ path, json }) => {
    if (path === "/prompt") return { json: { prompt_id: json.prompt_id, node_errors: {} } };
    if (path.startsWith("/history/")) return { json: { [path.slice(9)]: { outputs: { 1: { images: [{}] } } } } };
    return path === "/view" ? { bytes: PICTURE.bytes } : { json: {} };
  });
  const workflow = { 1: { class_type: "KSampler", inputs: { seed: "%seed%", text: "%prompt%" } } };
  const context = generationContext({ address: url, workflow });
  await comfyui.generate(pictureRequest({ parameters: { seed: LARGEST } }), context);
  assert.equal(requests.find(({ path }) => path === "/prompt").json.prompt["1"].inputs.seed, LARGEST);
  assert.deepEqual(context.values, { seed: LARGEST, parameters: ["seed"] });
});

test("the web UI refuses a seed that it cannot read, and reports what it used", async (t) => {
  const { url, requests } = await startServer(t, () => ({ json: { images: [PICTURE.base64] } }));
  const generate = (parameters) => {
    const context = generationContext({ address: url });
    return automatic1111.generate(pictureRequest({ parameters }), context).then(() => context.values);
  };
  assert.match((await rejection(generate({ seed: LARGEST }))).reason, /from 0 to 9007199254740991/);
  assert.equal(requests.some(({ path }) => path.endsWith("txt2img")), false);
  assert.deepEqual(await generate({ seed: "7", steps: 9, cfgScale: "x" }), { seed: 7, parameters: ["seed", "steps"] });
});

test("an images API reports its model, its own prompt, and which parameters had an effect", async (t) => {
  const { url, requests } = await startServer(t, () => ({
    json: { data: [{ b64_json: PICTURE.base64, revised_prompt: "a very red fox" }] },
  }));
  const used = async (settings, parameters) => {
    const context = generationContext({ address: `${url}/v1`, ...settings });
    await openai.generate(pictureRequest({ parameters, model: "dall-e-3" }), context);
    return context.values;
  };
  const values = await used({ mapping: { "dall-e-3": "gpt-image-1" } }, { seed: 5, quality: "hd", style: "vivid" });
  assert.deepEqual([values.model, values.revisedPrompt, values.seed], ["gpt-image-1", "a very red fox", undefined]);
  assert.ok(values.parameters.includes("quality") && !values.parameters.includes("style"));
  assert.equal("seed" in requests.at(-1).json, false);
  assert.equal((await used({ model: "flux" }, { seed: 5 })).seed, 5);
  assert.equal(requests.at(-1).json.seed, 5);
});

test("the report has the real size, all seeds, and the parameters without effect", async () => {
  const blob = new Blob([PICTURE.bytes], { type: "image/png" });
  const parameters = { width: 640, height: 480, seed: 5, style: "vivid", mood: "dark", quality: null };
  const picture = (seed) => ({ blob, used: { seed, model: "flux", parameters: ["seed", "style"] } });
  assert.deepEqual(await usedValues({ parameters }, [picture(5), picture(6)]), {
    width: 1, height: 1, seed: 5, seeds: [5, 6], model: "flux", ignoredParameters: ["mood"],
  });
  assert.deepEqual(await usedValues({ parameters: {} }, [{ blob: new Blob(["?"]) }]), {});
});

test("a size that cannot be read is left out", async () => {
  const [png, jpeg, riff] = [[0x89, 0x50, 0x4e, 0x47], [0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0], [0x52, 0x49, 0x46, 0x46]];
  for (const bytes of [[], png, jpeg, riff]) {
    assert.equal(await pictureSize(new Blob([Uint8Array.from(bytes)])), undefined);
  }
});
