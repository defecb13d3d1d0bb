// What ComfyUI answers and reports, as in its server.py and execution.py, and what the extension makes of it.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { comfyui } from "../../../../extension/providers/comfyui.js";
import { cancel } from "../../../../extension/providers/comfyui_api.js";
import { progressReporter } from "../../../../extension/providers/comfyui_progress.js";
import { generationContext, PICTURE, pictureRequest, rejection, startServer } from "./support.js";

const WORKFLOW = {
  1: { class_type: "EmptyLatentImage", inputs: { width: "%width%", height: "%height%", batch_size: 1 } },
  2: { class_type: "KSampler", inputs: { seed: "%seed%", sampler_name: "euler", text: "%prompt%" } },
  3: { class_type: "SaveImage", inputs: { filename_prefix: "x", images: ["2", 0] } },
};
const FILE = { filename: "fox.png", subfolder: "", type: "output" };
const SUCCESS = { outputs: { 3: { images: [FILE] } }, status: { status_str: "success", completed: true } };
const failed = (...messages) => ({ outputs: {}, status: { status_str: "error", completed: false, messages } });

globalThis.WebSocket = class extends EventTarget {
  constructor() {
    super();
    queueMicrotask(() => this.dispatchEvent(new Event("close")));
  }

  close() {}
};

/** ComfyUI with these answers; `queue` gets our id. */
async function startComfy(t, { prompt, entry = SUCCESS, queue = () => ({}), view, history } = {}) {
  let ours;
  const handlers = {
    "POST /prompt": ({ json: { prompt_id: id } }) => {
      ours = id;
      return prompt ?? { json: { prompt_id: id, number: 1, node_errors: {} } };
    },
    "GET /history": ({ path }) => history?.(path.slice(9)) ?? { json: { [path.slice(9)]: entry } },
    "GET /queue": () => ({ json: queue(ours) }),
    "GET /view": (request) => view?.(request) ?? { bytes: PICTURE.bytes },
  };
  return startServer(t, (request) => {
    const answer = handlers[`${request.method} ${request.path.match(/^\/[^/]+/)[0]}`];
    return answer ? answer(request) : { json: {} };
  });
}
const generate = (url, { settings, request, signal } = {}) => comfyui.generate(
  pictureRequest(request), generationContext({ address: url, workflow: WORKFLOW, ...settings }, signal),
);
const failureFrom = async (t, answers) => rejection(generate((await startComfy(t, answers)).url));
const posts = ({ requests }, path) => requests.filter((each) => each.path === path && each.method === "POST");

const inputError = (type, message, input) => ({ type, message, details: input, extra_info: { input_name: input } });
const nodeErrors = (id, ...errors) => {
  return { [id]: { class_type: WORKFLOW[id].class_type, errors, dependent_outputs: ["3"] } };
};
const NOT_VALID = { type: "prompt_outputs_failed_validation", message: "Prompt outputs failed validation" };
const SMALL = inputError("value_smaller_than_min", "Value 8 smaller than min of 16", "width");
const LARGE = inputError("value_bigger_than_max", "Big", "seed");
const NOT_LISTED = inputError("value_not_in_list", "Value not in list", "sampler_name");

/** Answers to POST /prompt: the failure's fields that matter to the server, and words of the reason. */
const PROMPT_ANSWERS = {
  "no prompt": [{ status: 400, json: { error: { type: "no_prompt", message: "No prompt provided" }, node_errors: {} } },
    { retryable: true, pause: 900_000, reason: /No prompt provided/ }],
  "no prompt, in an older version": [{ status: 400, json: { error: "no prompt", node_errors: [] } },
    { retryable: true, pause: 900_000, reason: /no prompt/ }],
  "an unknown node": [{ status: 400, json: {
    error: { type: "invalid_prompt", message: "Cannot execute because node KSampler does not exist." }, node_errors: {},
  } }, { retryable: true, pause: 900_000, reason: /node KSampler does not exist/ }],
  "no output node": [{ status: 400, json: {
    error: { type: "prompt_no_outputs", message: "Prompt has no outputs" }, node_errors: {},
  } }, { retryable: true, pause: 900_000, reason: /has no outputs/ }],
  "a value of the request that is too small": [
    { status: 400, json: { error: NOT_VALID, node_errors: nodeErrors(1, SMALL) } },
    { retryable: false, reason: /^ComfyUI does not accept width: Value 8 smaller than min of 16\.$/ }],
  "a seed of the request that is too large": [
    { status: 400, json: { error: NOT_VALID, node_errors: nodeErrors(2, LARGE) } },
    { retryable: false, reason: /seed: Big/ }],
  "a choice of the workflow that does not exist": [
    { status: 400, json: { error: NOT_VALID, node_errors: nodeErrors(2, NOT_LISTED) } },
    { retryable: true, pause: 900_000, reason: /KSampler; Value not in list; sampler_name/ }],
  "faults of the request and of the workflow": [
    { status: 400, json: { error: NOT_VALID, node_errors: { ...nodeErrors(1, SMALL), ...nodeErrors(2, NOT_LISTED) } } },
    { retryable: true, pause: 900_000, reason: /rejected the workflow/ }],
  "a part that is not run, for a value of the request": [
    { json: { prompt_id: "x", number: 1, node_errors: nodeErrors(1, SMALL) } }, { retryable: false, reason: /width/ }],
  "a part that is not run, for the workflow": [
    { json: { prompt_id: "x", number: 1, node_errors: nodeErrors(2, NOT_LISTED) } },
    { retryable: true, pause: 900_000, reason: /sampler_name/ }],
  "another origin": [{ status: 403 }, { retryable: true, pause: 900_000, reason: /--enable-cors-header/ }],
  "a body that is too large": [{ status: 413 }, { retryable: false, reason: /rejected the request \(413\)/ }],
  "an internal error": [{ status: 500 }, { retryable: true, reason: /internal error/ }],
  "no id": [{ json: {} }, { retryable: true, reason: /no prompt_id/ }],
};

for (const [name, [prompt, expected]] of Object.entries(PROMPT_ANSWERS)) {
  test(`POST /prompt answers with ${name}`, async (t) => {
    const failure = await failureFrom(t, { prompt });
    assert.match(failure.reason, expected.reason);
    assert.deepEqual([failure.retryable, failure.retryAfterMs], [expected.retryable, expected.pause]);
  });
}

/** Entries of GET /history/ID. */
const HISTORY_ENTRIES = {
  "an error of a node": [
    failed(["execution_start", {}], ["execution_error", {
      node_type: "KSampler", exception_type: "OSError", exception_message: "cannot open '/home/ann/ComfyUI/a.ckpt'",
    }]), /^KSampler: cannot open '…\/a\.ckpt'$/],
  "an error without a message": [
    failed(["execution_error", { exception_type: "RuntimeError" }]), /^A node: RuntimeError$/],
  "an interruption": [failed(["execution_interrupted", { node_id: "2" }]), /was interrupted in ComfyUI/],
  "no outputs": [{ outputs: {}, status: { status_str: "success", completed: true } }, /without saving a picture/],
  "outputs without pictures": [{ outputs: { 3: { text: ["hello"] } }, status: { status_str: "success" } },
    /without saving a picture/],
};

for (const [name, [entry, reason]] of Object.entries(HISTORY_ENTRIES)) {
  test(`the history has ${name}`, async (t) => {
    const failure = await failureFrom(t, { entry });
    assert.match(failure.reason, reason);
    assert.equal(failure.retryable, true);
  });
}

test("an entry without a status, as in old versions, is a success", async (t) => {
  const { url } = await startComfy(t, { entry: { outputs: SUCCESS.outputs } });
  assert.equal((await generate(url)).type, "image/png");
});

test("what is left in the queue after a failure is removed, also if ComfyUI chose its id", async (t) => {
  const id = (pending) => [4, "its-own", {}, { client_id: pending }];
  const server = await startComfy(t, {
    prompt: { json: { prompt_id: "its-own", number: 1, node_errors: nodeErrors(2, NOT_LISTED) } },
    queue: (ours) => ({ queue_running: [[1, "another", {}, { client_id: "theirs" }]], queue_pending: [id(ours)] }),
  });
  await rejection(generate(server.url));
  const ours = posts(server, "/prompt")[0].json.client_id;
  assert.deepEqual(posts(server, "/queue").map(({ json }) => json), [{ delete: [ours, "its-own"] }]);
  assert.deepEqual(posts(server, "/interrupt"), []);
});

test("a workflow whose history is too long to read is interrupted", async (t) => {
  const server = await startComfy(t, {
    history: () => ({ bytes: Buffer.alloc(17 * 1024 * 1024, " ") }),
    queue: (ours) => ({ queue_running: [[1, ours, {}, {}]] }),
  });
  assert.match((await rejection(generate(server.url))).reason, /sent more than/);
  const ours = posts(server, "/prompt")[0].json.prompt_id;
  assert.deepEqual(posts(server, "/interrupt").map(({ json }) => json), [{ prompt_id: ours }]);
});

test("a workflow goes on while ComfyUI does not answer for a while", async (t) => {
  let polls = 0;
  const server = await startComfy(t, {
    history: () => {
      polls += 1;
      return polls < 3 ? "break" : undefined;
    },
  });
  assert.equal((await generate(server.url)).type, "image/png");
  assert.equal(posts(server, "/prompt").length, 1);
});

test("after two minutes without an answer the job fails and is cancelled", async (t) => {
  t.after(() => mock.timers.reset());
  const server = await startComfy(t, {
    history: () => {
      mock.timers.enable({ apis: ["Date"], now: Date.now() + 121_000 });
      return "break";
    },
  });
  assert.match((await rejection(generate(server.url))).reason, /cannot be reached/);
  assert.equal(posts(server, "/queue").length, 1);
});

test("a workflow that cannot be cancelled because ComfyUI does not answer is cancelled later", async (t) => {
  let isAway = true;
  const server = await startServer(t, () => (isAway ? "break" : { json: { queue_running: [[1, "ours", {}, {}]] } }));
  await cancel(server.url, "ours", [1, 20]);
  isAway = false;
  assert.equal(posts(server, "/interrupt").length, 0);
  while (posts(server, "/interrupt").length === 0) await setImmediate();
  assert.deepEqual(posts(server, "/interrupt")[0].json, { prompt_id: "ours" });
});

test("a cached output whose file was deleted is made again, with the cache emptied", async (t) => {
  let views = 0;
  const server = await startComfy(t, {
    view: () => {
      views += 1;
      return views === 1 ? { status: 404 } : undefined;
    },
  });
  assert.equal((await generate(server.url)).type, "image/png");
  assert.deepEqual(posts(server, "/free").map(({ json }) => json), [{ unload_models: false, free_memory: true }]);
  const [first, second] = posts(server, "/prompt").map(({ json }) => json);
  assert.notEqual(first.prompt_id, second.prompt_id);
  assert.deepEqual(first.prompt, second.prompt);
});

test("an output that is gone again is a failure, and no reason to rest", async (t) => {
  const failure = await failureFrom(t, { view: () => ({ status: 404 }) });
  assert.match(failure.reason, /was deleted in ComfyUI/);
  assert.deepEqual([failure.retryable, failure.retryAfterMs], [true, undefined]);
});

/** Messages on the socket, and the progress and the text after each. */
const SOCKET_MESSAGES = [
  [{ type: "status", data: { status: { exec_info: { queue_remaining: 1 } } } }, 0, "Generating"],
  [{ type: "execution_start", data: { prompt_id: "p" } }, 0, "Generating"],
  [{ type: "execution_cached", data: { nodes: ["1"], prompt_id: "p" } }, 0, "Generating"],
  [{ type: "executing", data: { node: "2", display_node: "2", prompt_id: "p" } }, 0, "Running KSampler"],
  [{ type: "progress", data: { node: "2", value: 1, max: 1 } }, 0, "Running KSampler"],
  [{ type: "progress", data: { node: "2", value: 5, max: 20 } }, 23, "Running KSampler"],
  [{ type: "progress_state", data: { prompt_id: "p", nodes: { 2: { value: 5, max: 20 } } } }, 23, "Running KSampler"],
  [{ type: "progress", data: { node: "2", value: 20, max: 20 } }, 95, "Running KSampler"],
  [{ type: "executed", data: { node: "2", output: null } }, 95, "Running KSampler"],
  [{ type: "executing", data: { node: "3.0.1", display_node: "3" } }, 95, "Running SaveImage"],
  [{ type: "progress", data: { node: "3", value: 1, max: 4 } }, 95, "Running SaveImage"],
  [{ type: "a_later_message", data: {} }, 95, "Running SaveImage"],
];

test("messages on the socket become progress that never decreases", () => {
  const reports = [];
  const { onMessage } = progressReporter(WORKFLOW, (percent, message) => reports.push([percent, message]));
  for (const [message, percent, text] of SOCKET_MESSAGES) {
    onMessage(message);
    assert.deepEqual(reports.at(-1), [percent, text], message.type);
  }
});

test("a workflow whose nodes report no steps makes progress from node to node", () => {
  const percents = [];
  const nodes = Object.fromEntries(["a", "b", "c", "d"].map((id) => [id, { class_type: "Mine", inputs: {} }]));
  const { onMessage } = progressReporter(nodes, (percent) => percents.push(percent));
  for (const node of ["a", "b", "c", "d"]) onMessage({ type: "executing", data: { node } });
  assert.deepEqual(percents, [0, 11, 23, 35]);
});
