// The ComfyUI provider, with a server that has its HTTP API but no socket.

import assert from "node:assert/strict";
import { test } from "node:test";
import { comfyui } from "../../../../extension/providers/comfyui.js";
import { INPUT_WORKFLOW } from "../../../../extension/providers/comfyui_inputs.js";
import { DEFAULT_WORKFLOW, workflowProblem } from "../../../../extension/providers/comfyui_workflow.js";
import { generationContext, inputsOf, PICTURE, pictureRequest, rejection, startServer } from "./support.js";

const CHECKPOINTS = { CheckpointLoaderSimple: { input: { required: { ckpt_name: [["a.safetensors", "b"], {}] } } } };
const SAVED = { outputs: { 9: { images: [
  { filename: "preview.png", subfolder: "", type: "temp" },
  { filename: "fox 1.png", subfolder: "of/mine", type: "output" },
] } }, status: { status_str: "success", completed: true, messages: [] } };

const uploaded = ({ form }) => ({ json: { name: form.get("image").name, subfolder: "", type: "input" } });

/** `entry` is the workflow's history entry, which exists once it has finished. */
function startComfy(test_, { entry = () => SAVED, queue = () => ({}), prompt, upload = uploaded } = {}) {
  const answers = {
    "/object_info/CheckpointLoaderSimple": () => ({ json: CHECKPOINTS }),
    "/upload/image": upload,
    "/prompt": (request) => prompt?.(request) ?? { json: { prompt_id: request.json.prompt_id, number: 1 } },
    "/queue": (request) => (request.method === "GET" ? { json: queue(request) } : {}),
    "/view": () => ({ bytes: PICTURE.bytes }),
    "/ws": () => ({ status: 404 }),
  };
  return startServer(test_, (request) => {
    const { path } = request;
    if (path.startsWith("/history/")) return { json: { [path.slice(9)]: entry(request) } };
    return answers[path]?.(request) ?? {};
  });
}
const generate = (url, settings = {}, changes = {}, ...more) => {
  const context = generationContext({ address: url, ...settings }, ...more);
  return { result: comfyui.generate(pictureRequest(changes), context), reports: context.reports };
};
const requests = (ui, path) => ui.requests.filter((each) => each.path === path && each.method === "POST")
  .map(({ json }) => json);

test("placeholders in the workflow are filled, and numbers stay numbers", async (t) => {
  const ui = await startComfy(t);
  const prompt = 'a "red" fox %width% \\ {"x": 1}';
  const changes = { prompt, width: 644, height: 100, parameters: { seed: 8 }, position: 1 };
  const blob = await generate(ui.url, { negative: "blurry" }, changes).result;
  assert.deepEqual(Buffer.from(await blob.arrayBuffer()), PICTURE.bytes);
  const [{ prompt: workflow, client_id: client, prompt_id: id }] = requests(ui, "/prompt");
  assert.equal(client, id);
  assert.deepEqual(workflow["5"].inputs, { width: 648, height: 104, batch_size: 1 });
  assert.equal(workflow["6"].inputs.text, prompt);
  assert.equal(workflow["7"].inputs.text, "blurry");
  assert.equal(workflow["3"].inputs.seed, 9);
  assert.equal(workflow["4"].inputs.ckpt_name, "a.safetensors");
  assert.deepEqual(workflow["3"].inputs.model, ["4", 0]);
});

test("the saved picture is preferred to previews", async (t) => {
  const ui = await startComfy(t);
  await generate(ui.url).result;
  const { query } = ui.requests.find(({ path }) => path === "/view");
  assert.deepEqual(Object.fromEntries(query), { filename: "fox 1.png", subfolder: "of/mine", type: "output" });
});

test("a custom workflow needs no checkpoint, and placeholders within text are filled", async (t) => {
  const ui = await startComfy(t);
  const workflow = { 1: { class_type: "Mine", inputs: { text: "masterpiece, %prompt%, %model% %unknown%" } } };
  await generate(ui.url, { workflow }).result;
  assert.equal(requests(ui, "/prompt")[0].prompt["1"].inputs.text, "masterpiece, a red fox, some-model %unknown%");
  assert.equal(ui.requests.some(({ path }) => path.startsWith("/object_info")), false);
});

test("the queue position is reported", async (t) => {
  let count = 0;
  const ui = await startComfy(t, {
    entry: () => (count > 0 ? SAVED : undefined),
    queue: ({ path }) => {
      count += 1;
      const ours = ui.requests.find((each) => each.path === "/prompt").json.prompt_id;
      return { queue_running: [[1, "x"]], queue_pending: [[7, ours], [5, "y"]], path };
    },
  });
  const { result, reports } = generate(ui.url);
  await result;
  assert.ok(reports.some(({ message }) => message === "Waiting: queue position 2"));
});

test("an aborted workflow is removed from the queue, and interrupted only if it is running", async (t) => {
  for (const runs of [true, false]) {
    const stop = new AbortController();
    const ui = await startComfy(t, {
      entry: () => undefined,
      queue: () => {
        stop.abort(new Error("aborted"));
        const ours = [3, ui.requests.find((each) => each.path === "/prompt").json.prompt_id];
        return runs ? { queue_running: [ours] } : { queue_running: [[1, "theirs"]], queue_pending: [ours] };
      },
    });
    const { result } = generate(ui.url, {}, {}, stop.signal);
    assert.equal((await rejection(result)).message, "aborted");
    const id = requests(ui, "/prompt")[0].prompt_id;
    assert.deepEqual(requests(ui, "/queue"), [{ delete: [id] }]);
    assert.deepEqual(requests(ui, "/interrupt"), runs ? [{ prompt_id: id }] : []);
  }
});

test("an id that an older version assigns is used", async (t) => {
  const ui = await startComfy(t, { prompt: () => ({ json: { prompt_id: "its-own" } }) });
  await generate(ui.url).result;
  assert.ok(ui.requests.some(({ path }) => path === "/history/its-own"));
});

test("a lost workflow is a failure", async (t) => {
  const ui = await startComfy(t, { entry: () => undefined, queue: () => ({ queue_running: [], queue_pending: [] }) });
  assert.match((await rejection(generate(ui.url).result)).reason, /has lost the workflow/);
});

test("a rejected origin is explained", async (t) => {
  const ui = await startComfy(t, { prompt: () => ({ status: 403 }) });
  const failure = await rejection(generate(ui.url).result);
  assert.match(failure.reason, /--enable-cors-header/);
  assert.match(failure.reason, /Hide the extension's origin/);
  assert.equal(failure.retryAfterMs, 900_000);
});

test("a rejected workflow names the node and the error", async (t) => {
  const ui = await startComfy(t, { prompt: () => ({ status: 400, json: {
    error: { type: "prompt_outputs_failed_validation", message: "Prompt outputs failed validation" },
    node_errors: { 4: { class_type: "CheckpointLoaderSimple", errors: [
      { message: "Value not in list", details: "ckpt_name: 'x' not in []" },
    ] } },
  } }) });
  const { reason } = await rejection(generate(ui.url).result);
  assert.match(reason, /validation; CheckpointLoaderSimple; Value not in list; ckpt_name: 'x' not in \[\]/);
});

test("an execution error names the node", async (t) => {
  const error = { node_type: "KSampler", exception_message: "no memory" };
  const messages = [["execution_start", {}], ["execution_error", error]];
  const ui = await startComfy(t, { entry: () => ({ outputs: {}, status: { status_str: "error", messages } }) });
  assert.equal((await rejection(generate(ui.url).result)).reason, "KSampler: no memory");
});

const OBJECT_INFO = {
  CheckpointLoaderSimple: CHECKPOINTS.CheckpointLoaderSimple, KSampler: { input: { required: {
    sampler_name: [["euler", "dpm"], {}], scheduler: ["COMBO", { options: ["normal"] }], seed: ["INT", { max: 9 }],
  } } },
  EmptyLatentImage: {}, CLIPTextEncode: {}, VAEDecode: {}, SaveImage: {},
};

const NO_PROMPT = { status: 400, json: { error: { type: "no_prompt" } } };

/** ComfyUI without a job: it refuses an empty POST, and describes its nodes. */
const startForCheck = (t, nodes = OBJECT_INFO, { post = NO_PROMPT } = {}) =>
  startServer(t, ({ path, method }) => {
    if (path === "/prompt" && method === "POST") return post;
    const kind = decodeURIComponent(path.replace("/object_info/", ""));
    return { json: nodes[kind] ? { [kind]: nodes[kind] } : {} };
  });
const check = (url, settings = {}) => comfyui.check({ address: url, ...settings }, new AbortController().signal);

test("the check sends a POST that starts nothing, and looks up every node", async (t) => {
  const { url, requests: received } = await startForCheck(t);
  assert.equal(await check(url), "Connected, and the workflow can be used. Checkpoint: a.safetensors.");
  assert.deepEqual(received.filter(({ method }) => method === "POST").map(({ path, json }) => [path, json]), [
    ["/prompt", {}],
  ]);
});

test("the check fails where a job would, and names the remedy", async (t) => {
  const reasonFor = async (nodes, options, settings) => {
    return (await rejection(check((await startForCheck(t, nodes, options)).url, settings))).reason;
  };
  assert.match(await reasonFor(OBJECT_INFO, { post: { status: 403 } }), /--enable-cors-header.*Hide the extension's/);
  assert.match(await reasonFor({ ...OBJECT_INFO, KSampler: undefined }), /no node KSampler\. Install the missing/);
  const none = { input: { required: { ckpt_name: ["COMBO", { options: [] }] } } };
  assert.match(await reasonFor({ ...OBJECT_INFO, CheckpointLoaderSimple: none }), /no checkpoint\. Put one into/);
  assert.match(await reasonFor(OBJECT_INFO, {}, { checkpoint: "gone" }), /no ckpt_name "gone".*Choose another one/);
  assert.match(await reasonFor(OBJECT_INFO, { post: { json: {} } }), /is not ComfyUI/);
});

test("the Origin header is removed only for this address, and only if enabled", async (t) => {
  const updates = [];
  globalThis.chrome = {
    runtime: { id: "us" }, permissions: { contains: async () => true },
    declarativeNetRequest: { updateSessionRules: async (update) => updates.push(update) },
  };
  t.after(() => delete globalThis.chrome);
  const ui = await startComfy(t);
  await generate(ui.url, { hideOrigin: true }).result;
  await generate(ui.url).result;
  const [{ addRules: [rule], removeRuleIds }, after] = updates;
  assert.deepEqual(rule.condition.initiatorDomains, ["us"]);
  assert.equal(rule.condition.urlFilter, `||${ui.host}/`);
  assert.deepEqual(removeRuleIds, [rule.id]);
  assert.deepEqual(after, { removeRuleIds: [rule.id], addRules: [] });
});

test("an invalid workflow is reported", () => {
  assert.equal(workflowProblem(DEFAULT_WORKFLOW), undefined);
  assert.match(workflowProblem([]), /not a workflow/);
  assert.match(workflowProblem({ nodes: [], links: [] }), /Export \(API\)/);
  assert.match(workflowProblem({ 1: { class_type: "X" } }), /Node "1"/);
  assert.match(workflowProblem({ 1: { class_type: "X", inputs: {} } }), /%prompt%/);
  assert.deepEqual(comfyui.problems({ workflow: DEFAULT_WORKFLOW }), {});
  assert.deepEqual(Object.keys(comfyui.problems({ workflow: { nodes: [] } })), ["workflow"]);
});

// Input pictures

const VARIATION = {
  1: { class_type: "LoadImage", inputs: { image: "%image%", text: "%prompt%", denoise: "%strength%" } },
};
const EDIT = { ...VARIATION, 2: { class_type: "LoadImageMask", inputs: { image: "%mask%" } } };

/** The values that the nodes of the workflow got. */
async function inputsIn(ui, inputWorkflow, inputs) {
  const context = generationContext({ address: ui.url, inputWorkflow });
  await comfyui.generate(pictureRequest({ inputs }), context);
  const [{ prompt }] = requests(ui, "/prompt");
  return { nodes: prompt, used: context.values, forms: ui.requests.flatMap(({ form }) => form ?? []) };
}

test("the picture is uploaded, and its name filled in with the strength", async (t) => {
  const ui = await startComfy(t, { upload: () => ({ json: { name: "other (1).png", subfolder: "of mine" } }) });
  const { nodes, used, forms: [form] } = await inputsIn(ui, VARIATION, inputsOf({ strength: 0 }));
  assert.deepEqual(nodes["1"].inputs, { image: "of mine/other (1).png", text: "a red fox", denoise: 0 });
  assert.deepEqual(used.parameters, ["strength"]);
  assert.match(form.get("image").name, /^imagefleet-[0-9a-f]{32}\.png$/);
  assert.deepEqual(Buffer.from(await form.get("image").arrayBuffer()), PICTURE.bytes);
  assert.deepEqual([form.get("type"), form.get("overwrite")], ["input", "true"]);
});

test("the mask is uploaded, too, and the same file always has the same name", async (t) => {
  const mask = new Blob(["mask"], { type: "image/png" });
  const { nodes, forms } = await inputsIn(await startComfy(t), EDIT, inputsOf({ mask }));
  const again = await inputsIn(await startComfy(t), EDIT, inputsOf({ mask }));
  assert.deepEqual(again.nodes, nodes);
  assert.equal(nodes["1"].inputs.denoise, 0.75);
  const names = [nodes["1"], nodes["2"]].map(({ inputs }) => inputs.image);
  assert.deepEqual(names, forms.map((form) => form.get("image").name));
  assert.notEqual(nodes["1"].inputs.image, nodes["2"].inputs.image);
});

test("a failed upload is a failure, and no workflow is sent", async (t) => {
  for (const upload of [() => ({ status: 500 }), () => ({ json: {} }), () => ({ status: 413 })]) {
    const ui = await startComfy(t, { upload });
    const { retryable } = await rejection(inputsIn(ui, VARIATION, inputsOf()));
    assert.deepEqual([retryable, requests(ui, "/prompt")], [upload().status !== 413, []]);
  }
});

test("only a workflow with the placeholders can make variations and edits", () => {
  const can = (inputWorkflow) => comfyui.inputs({ inputWorkflow }, "m").operations;
  assert.deepEqual(can(undefined), []);
  assert.deepEqual(can(DEFAULT_WORKFLOW), []);
  assert.deepEqual(can(VARIATION), ["image-variation"]);
  assert.deepEqual(can(EDIT), ["image-variation", "image-edit"]);
  assert.deepEqual(can(INPUT_WORKFLOW), ["image-variation", "image-edit"]);
  assert.match(comfyui.problems({ inputWorkflow: DEFAULT_WORKFLOW }).inputWorkflow, /no %image%.*LoadImage/);
  assert.match(comfyui.problems({ workflow: VARIATION }).workflow, /field for variations and edits/);
  assert.deepEqual(comfyui.problems({ workflow: DEFAULT_WORKFLOW, inputWorkflow: INPUT_WORKFLOW }), {});
});

test("the check looks up the nodes for variations, too, and accepts any file name", async (t) => {
  const kinds = [...new Set(Object.values(INPUT_WORKFLOW).map((node) => node.class_type))];
  const files = { input: { required: { image: [["of yesterday.png"], { image_upload: true }] } } };
  const nodes = { ...Object.fromEntries(kinds.map((kind) => [kind, {}])), ...OBJECT_INFO, LoadImage: files };
  const { url } = await startForCheck(t, nodes);
  assert.match(await check(url, { inputWorkflow: INPUT_WORKFLOW }), /can be used/);
  const { url: older } = await startForCheck(t, { ...nodes, LoadImageMask: undefined });
  assert.match((await rejection(check(older, { inputWorkflow: INPUT_WORKFLOW }))).reason, /no node LoadImageMask/);
});
