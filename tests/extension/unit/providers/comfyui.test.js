// Running workflows of ComfyUI, against a server that speaks its API, without a socket.

import assert from "node:assert/strict";
import { test } from "node:test";
import { comfyui } from "../../../../extension/providers/comfyui.js";
import { DEFAULT_WORKFLOW, workflowProblem } from "../../../../extension/providers/comfyui_workflow.js";
import { anOrder, help, PICTURE, rejection, serving } from "./support.js";

const CHECKPOINTS = { CheckpointLoaderSimple: { input: { required: { ckpt_name: [["a.safetensors", "b"], {}] } } } };
const SAVED = { outputs: { 9: { images: [
  { filename: "preview.png", subfolder: "", type: "temp" },
  { filename: "fox 1.png", subfolder: "of/mine", type: "output" },
] } }, status: { status_str: "success", completed: true, messages: [] } };

/** ComfyUI with one place to work: `entry` is what its history says of work, once it is done. */
function comfy(test_, { entry = () => SAVED, queue = () => ({}), prompt } = {}) {
  return serving(test_, (question) => {
    const { path, json } = question;
    if (path === "/object_info/CheckpointLoaderSimple") return { json: CHECKPOINTS };
    if (path === "/prompt") return prompt?.(question) ?? { json: { prompt_id: json.prompt_id, number: 1 } };
    if (path.startsWith("/history/")) return { json: { [path.slice(9)]: entry(question) } };
    if (path === "/queue" && question.method === "GET") return { json: queue(question) };
    if (path === "/view") return { bytes: PICTURE.bytes };
    return { status: path === "/ws" ? 404 : 200 };
  });
}
const generate = (url, settings = {}, order = {}, ...more) => {
  const given = help({ address: url, ...settings }, ...more);
  return { made: comfyui.generate(anOrder(order), given), heard: given.heard };
};
const asked = (ui, path) => ui.asked.filter((each) => each.path === path && each.method === "POST")
  .map(({ json }) => json);

test("the workflow goes out with everything in its place, as numbers where they are numbers", async (t) => {
  const ui = await comfy(t);
  const prompt = 'a "red" fox %width% \\ {"x": 1}';
  const order = { prompt, width: 644, height: 100, parameters: { seed: 8 }, position: 1 };
  const blob = await generate(ui.url, { negative: "blurry" }, order).made;
  assert.deepEqual(Buffer.from(await blob.arrayBuffer()), PICTURE.bytes);
  const [{ prompt: workflow, client_id: client, prompt_id: id }] = asked(ui, "/prompt");
  assert.equal(client, id);
  assert.deepEqual(workflow["5"].inputs, { width: 648, height: 104, batch_size: 1 });
  assert.equal(workflow["6"].inputs.text, prompt);
  assert.equal(workflow["7"].inputs.text, "blurry");
  assert.equal(workflow["3"].inputs.seed, 9);
  assert.equal(workflow["4"].inputs.ckpt_name, "a.safetensors");
  assert.deepEqual(workflow["3"].inputs.model, ["4", 0]);
});

test("of its pictures, the one that was saved is taken", async (t) => {
  const ui = await comfy(t);
  await generate(ui.url).made;
  const { query } = ui.asked.find(({ path }) => path === "/view");
  assert.deepEqual(Object.fromEntries(query), { filename: "fox 1.png", subfolder: "of/mine", type: "output" });
});

test("a workflow of the user's own needs no checkpoint, and places within texts are filled", async (t) => {
  const ui = await comfy(t);
  const workflow = { 1: { class_type: "Mine", inputs: { text: "masterpiece, %prompt%, %model% %unknown%" } } };
  await generate(ui.url, { workflow }).made;
  assert.equal(asked(ui, "/prompt")[0].prompt["1"].inputs.text, "masterpiece, a red fox, some-model %unknown%");
  assert.equal(ui.asked.some(({ path }) => path.startsWith("/object_info")), false);
});

test("how many wait before it is told", async (t) => {
  let count = 0;
  const ui = await comfy(t, {
    entry: () => (count > 0 ? SAVED : undefined),
    queue: ({ path }) => {
      count += 1;
      const own = ui.asked.find((each) => each.path === "/prompt").json.prompt_id;
      return { queue_running: [[1, "x"]], queue_pending: [[7, own], [5, "y"]], path };
    },
  });
  const { made, heard } = generate(ui.url);
  await made;
  assert.ok(heard.some(({ words }) => words === "Waiting: 2 before it"));
});

test("work that is not wanted leaves the queue, and is interrupted only where it runs", async (t) => {
  for (const runs of [true, false]) {
    const stop = new AbortController();
    const ui = await comfy(t, {
      entry: () => undefined,
      queue: () => {
        stop.abort(new Error("not wanted"));
        const own = [3, ui.asked.find((each) => each.path === "/prompt").json.prompt_id];
        return runs ? { queue_running: [own] } : { queue_running: [[1, "theirs"]], queue_pending: [own] };
      },
    });
    const { made } = generate(ui.url, {}, {}, stop.signal);
    assert.equal((await rejection(made)).message, "not wanted");
    const id = asked(ui, "/prompt")[0].prompt_id;
    assert.deepEqual(asked(ui, "/queue"), [{ delete: [id] }]);
    assert.deepEqual(asked(ui, "/interrupt"), runs ? [{ prompt_id: id }] : []);
  }
});

test("an older version names the work itself, and goes on to know it by that name", async (t) => {
  const ui = await comfy(t, { prompt: () => ({ json: { prompt_id: "its-own" } }) });
  await generate(ui.url).made;
  assert.ok(ui.asked.some(({ path }) => path === "/history/its-own"));
});

test("work that it no longer knows of is not waited for", async (t) => {
  const ui = await comfy(t, { entry: () => undefined, queue: () => ({ queue_running: [], queue_pending: [] }) });
  assert.match((await rejection(generate(ui.url).made)).reason, /no longer knows of it/);
});

test("being turned away for where one comes from is explained", async (t) => {
  const ui = await comfy(t, { prompt: () => ({ status: 403 }) });
  const failure = await rejection(generate(ui.url).made);
  assert.match(failure.reason, /--enable-cors-header/);
  assert.match(failure.reason, /Hide the extension's origin/);
  assert.equal(failure.retryAfterMs, 900_000);
});

test("a workflow that it does not take says where the trouble is", async (t) => {
  const ui = await comfy(t, { prompt: () => ({ status: 400, json: {
    error: { type: "prompt_outputs_failed_validation", message: "Prompt outputs failed validation" },
    node_errors: { 4: { class_type: "CheckpointLoaderSimple", errors: [
      { message: "Value not in list", details: "ckpt_name: 'x' not in []" },
    ] } },
  } }) });
  const { reason } = await rejection(generate(ui.url).made);
  assert.match(reason, /validation; CheckpointLoaderSimple; Value not in list; ckpt_name: 'x' not in \[\]/);
});

test("an error while it works names the node", async (t) => {
  const error = { node_type: "KSampler", exception_message: "no memory" };
  const messages = [["execution_start", {}], ["execution_error", error]];
  const ui = await comfy(t, { entry: () => ({ outputs: {}, status: { status_str: "error", messages } }) });
  assert.equal((await rejection(generate(ui.url).made)).reason, "KSampler: no memory");
});

test("the check names the first checkpoint, in both of the forms that there are", async (t) => {
  const check = (url) => comfyui.check({ address: url }, new AbortController().signal);
  const { url } = await comfy(t);
  assert.equal(await check(url), "It answers; its first checkpoint is a.safetensors.");
  const newer = await serving(t, () => ({ json: {
    CheckpointLoaderSimple: { input: { required: { ckpt_name: ["COMBO", { options: ["new.safetensors"] }] } } },
  } }));
  assert.equal(await check(newer.url), "It answers; its first checkpoint is new.safetensors.");
});

test("the header is hidden by a rule for that address alone, and only where it is asked for", async (t) => {
  const updates = [];
  globalThis.chrome = {
    runtime: { id: "us" }, permissions: { contains: async () => true },
    declarativeNetRequest: { updateSessionRules: async (update) => updates.push(update) },
  };
  t.after(() => delete globalThis.chrome);
  const ui = await comfy(t);
  await generate(ui.url, { hideOrigin: true }).made;
  await generate(ui.url).made;
  const [{ addRules: [rule], removeRuleIds }, after] = updates;
  assert.deepEqual(rule.condition.initiatorDomains, ["us"]);
  assert.equal(rule.condition.urlFilter, `||${ui.host}/`);
  assert.deepEqual(removeRuleIds, [rule.id]);
  assert.deepEqual(after, { removeRuleIds: [rule.id], addRules: [] });
});

test("what is pasted as a workflow and is none is told so", () => {
  assert.equal(workflowProblem(DEFAULT_WORKFLOW), undefined);
  assert.match(workflowProblem([]), /no workflow/);
  assert.match(workflowProblem({ nodes: [], links: [] }), /Export \(API\)/);
  assert.match(workflowProblem({ 1: { class_type: "X" } }), /Node "1"/);
  assert.match(workflowProblem({ 1: { class_type: "X", inputs: {} } }), /%prompt%/);
  assert.deepEqual(comfyui.problems({ workflow: DEFAULT_WORKFLOW }), {});
  assert.deepEqual(Object.keys(comfyui.problems({ workflow: { nodes: [] } })), ["workflow"]);
});
