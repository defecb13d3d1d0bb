/** ComfyUI's HTTP API. */

import { Failure } from "../shared/failures.js";
import { abortable, sleep } from "./abortable.js";
import { MAX_PICTURE_BYTES, parseJson, sendRequest, tryParseJson } from "./http.js";
import { failureFromResponse, NEEDS_USER_MS } from "./http_failures.js";
import { toPicture } from "./pictures.js";
import { shorten } from "./text.js";
import { baseUrl } from "./validation.js";

const POLL_MS = 1000;
// While the socket reports the end, polling only covers lost messages.
const SLOW_POLL_MS = 2000;
const SHORT_MS = 5000;
const MAX_HISTORY_BYTES = 16 * 1024 * 1024;
// The queue contains the workflows of everything that waits.
const MAX_QUEUE_BYTES = 64 * 1024 * 1024;
const MAX_MISSES = 3;

/** @typedef {import("./comfyui_workflow.js").Workflow} Workflow */
/** @typedef {{filename: string, subfolder?: string, type?: string}} Output */

/** @type {(address: unknown) => string} */
export function requireBaseUrl(address) {
  const base = baseUrl(address);
  if (base) return base;
  throw new Failure("The generator is not set up correctly", { reason: "The address of ComfyUI is not valid." });
}

/** @type {(base: string, signal: AbortSignal) => Promise<string | undefined>} */
export async function firstCheckpoint(base, signal) {
  const url = `${base}/object_info/CheckpointLoaderSimple`;
  const response = await sendRequest(url, { signal, maxBytes: MAX_HISTORY_BYTES });
  if (response.status !== 200) throw failureFrom(response);
  return firstChoice(parseJson(response)?.CheckpointLoaderSimple?.input?.required?.ckpt_name);
}

/**
 * The first choice of a node's input: `[[...names], {}]`, or in newer versions `["COMBO", {options: [...names]}]`.
 *
 * @param {any} input
 * @returns {string | undefined}
 */
function firstChoice(input) {
  const names = Array.isArray(input?.[0]) ? input[0] : input?.[1]?.options;
  return typeof names?.[0] === "string" ? names[0] : undefined;
}

/**
 * Add a workflow to the queue. Returns its id: newer versions use ours, older ones assign their own.
 *
 * @param {string} base
 * @param {Workflow} workflow
 * @param {string} id
 * @param {AbortSignal} signal
 */
export async function enqueue(base, workflow, id, signal) {
  const json = { prompt: workflow, client_id: id, prompt_id: id };
  const response = await sendRequest(`${base}/prompt`, { signal, method: "POST", json });
  if (response.status === 400) throw invalidWorkflow(tryParseJson(response));
  if (response.status !== 200) throw failureFrom(response);
  const assigned = parseJson(response)?.prompt_id;
  if (typeof assigned !== "string") throw new Failure("Invalid response", { reason: "ComfyUI returned no prompt_id." });
  return assigned;
}

/**
 * The id of the workflow that was sent with this id, if ComfyUI still has it or has finished it.
 *
 * @param {string} base
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<string | undefined>}
 */
export async function findWorkflow(base, id, signal) {
  if (await fetchHistory(base, id, signal)) return id;
  const { running, pending } = await fetchQueue(base, signal);
  const [own] = [...running, ...pending].filter((item) => isOwn(item, id));
  return own?.[1];
}

/**
 * Wait until the workflow has finished, and return its outputs.
 *
 * @param {string} base
 * @param {string} id
 * @param {import("./comfyui_socket.js").ProgressSocket} socket
 * @param {(position: number) => void} onPosition  called after each poll; 0 means that it is running
 * @param {AbortSignal} signal
 * @returns {Promise<Output[]>}
 */
export async function waitForOutputs(base, id, socket, onPosition, signal) {
  for (let misses = 0; misses < MAX_MISSES;) {
    const next = socket.nextEnd();
    const entry = await fetchHistory(base, id, signal);
    if (entry) return outputsOf(entry);
    const position = await queuePosition(base, id, signal);
    misses = position === undefined ? misses + 1 : 0;
    if (position !== undefined) onPosition(position);
    const delay = sleep(socket.isOpen && position !== undefined ? SLOW_POLL_MS : POLL_MS, signal);
    await abortable(Promise.race([next, delay]), signal);
  }
  const reason = "ComfyUI has lost the workflow: it was restarted, or its queue was cleared.";
  throw new Failure("The generator lost the job", { reason });
}

/**
 * Remove the workflow from the queue, or interrupt it if it is running. Never rejects.
 *
 * @param {string} base
 * @param {string} id
 */
export async function cancel(base, id) {
  const { signal } = new AbortController();
  const post = { signal, method: "POST", timeoutMs: SHORT_MS };
  try {
    await sendRequest(`${base}/queue`, { ...post, json: { delete: [id] } });
    // Older versions interrupt any running workflow, so make sure that it is ours.
    if (await queuePosition(base, id, signal) !== 0) return;
    await sendRequest(`${base}/interrupt`, { ...post, json: { prompt_id: id } });
  } catch {
    // The result is discarded anyway.
  }
}

/** @type {(base: string, outputs: Output[], signal: AbortSignal) => Promise<Blob>} */
export async function downloadPicture(base, outputs, signal) {
  const { host } = new URL(base);
  const output = outputs.find(({ type }) => type === "output") ?? outputs[0];
  if (!output) throw new Failure("No picture received", { reason: "The workflow ended without saving a picture." });
  const { filename, subfolder = "", type = "output" } = output;
  const response = await sendRequest(`${base}/view?${new URLSearchParams({ filename, subfolder, type })}`, {
    signal, maxBytes: MAX_PICTURE_BYTES,
  });
  if (response.status !== 200) throw failureFrom(response);
  return toPicture(response.bytes, host);
}

/** @type {(base: string, id: string, signal: AbortSignal) => Promise<Record<string, any> | undefined>} */
async function fetchHistory(base, id, signal) {
  const url = `${base}/history/${encodeURIComponent(id)}`;
  const response = await sendRequest(url, { signal, maxBytes: MAX_HISTORY_BYTES });
  if (response.status !== 200) throw failureFrom(response);
  return parseJson(response)?.[id];
}

/**
 * The number of workflows before this one: 0 if it is running, undefined if it is not in the queue.
 *
 * @param {string} base
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<number | undefined>}
 */
async function queuePosition(base, id, signal) {
  const { running, pending } = await fetchQueue(base, signal);
  if (running.some((item) => isOwn(item, id))) return 0;
  const index = pending.toSorted((a, b) => a[0] - b[0]).findIndex((item) => isOwn(item, id));
  return index < 0 ? undefined : running.length + index;
}

/**
 * @typedef {[number, string, ...any]} QueueItem  its number, its id, the workflow, and extra data
 */

/** @type {(base: string, signal: AbortSignal) => Promise<{running: QueueItem[], pending: QueueItem[]}>} */
async function fetchQueue(base, signal) {
  const response = await sendRequest(`${base}/queue`, { signal, maxBytes: MAX_QUEUE_BYTES });
  const { queue_running: running = [], queue_pending: pending = [] } = tryParseJson(response) ?? {};
  return { running, pending };
}

/** Older versions assign ids of their own; there the client's id identifies our workflow. */
/** @type {(item: QueueItem, id: string) => boolean} */
function isOwn([, itemId, , extra], id) {
  return itemId === id || extra?.client_id === id;
}

/** @type {(entry: Record<string, any>) => Output[]} */
function outputsOf({ outputs, status }) {
  if (status?.status_str === "error") throw executionFailure(status.messages ?? []);
  return Object.values(outputs ?? {}).flatMap((each) => /** @type {any} */ (each)?.images ?? []);
}

/** @type {(messages: [string, any][]) => Failure} */
function executionFailure(messages) {
  const error = messages.find(([type]) => type === "execution_error")?.[1];
  if (!error) return new Failure("The job was interrupted", { reason: "The workflow was interrupted in ComfyUI." });
  const reason = shorten(`${error.node_type ?? "A node"}: ${error.exception_message ?? error.exception_type}`);
  return new Failure("The generator failed", { reason });
}

/** @type {(body: any) => Failure} */
function invalidWorkflow(body) {
  const [node] = Object.values(body?.node_errors ?? {});
  const error = node?.errors?.[0];
  const details = [body?.error?.message, node?.class_type, error?.message, error?.details].filter(Boolean);
  const reason = shorten(`ComfyUI rejected the workflow: ${details.join("; ")}`);
  return new Failure("The workflow is not set up correctly", { reason, retryAfterMs: NEEDS_USER_MS });
}

/** @type {(response: import("./http.js").HttpResponse) => Failure} */
function failureFrom(response) {
  if (response.status !== 403) return failureFromResponse(response);
  const reason = `${response.host} rejects requests from other origins than its own page (403). `
    + "Start ComfyUI with --enable-cors-header, or enable \"Hide the extension's origin\" in the settings.";
  return new Failure("Access denied by the generator", { reason, retryAfterMs: NEEDS_USER_MS });
}
