/** ComfyUI's HTTP API. */

import { Failure } from "../shared/failures.js";
import { sleep } from "./abortable.js";
import { failureFrom, rejectedWorkflow } from "./comfyui_errors.js";
import { MAX_PICTURE_BYTES, parseJson, sendRequest, tryParseJson } from "./http.js";
import { toPicture } from "./pictures.js";
import { baseUrl } from "./validation.js";

const SHORT_MS = 5000;
const MAX_HISTORY_BYTES = 16 * 1024 * 1024;
// The queue contains the workflows of everything that waits.
const MAX_QUEUE_BYTES = 64 * 1024 * 1024;
/** Pauses between attempts to cancel a workflow while ComfyUI does not answer. */
const CANCEL_DELAYS_MS = [5_000, 30_000, 120_000, 600_000];

/** @typedef {import("./comfyui_workflow.js").Workflow} Workflow */
/** @typedef {{filename: string, subfolder?: string, type?: string}} Output */
/** @typedef {[number, string, ...any]} QueueItem  its number, its id, the workflow, and extra data */
/** @typedef {{running: QueueItem[], pending: QueueItem[]}} Queue */

/** The file of an output does not exist any more: ComfyUI took it from its cache of results. */
export class OutputGone extends Failure {}

/** @type {(address: unknown) => string} */
export function requireBaseUrl(address) {
  const base = baseUrl(address);
  if (base) return base;
  throw new Failure("The generator is not set up correctly", { reason: "The address of ComfyUI is not valid." });
}

/**
 * Add a workflow to the queue. Returns its id: newer versions use ours, older ones assign their own. A workflow of
 * which ComfyUI would run only a part is rejected, because its picture may not be the one that the user wants.
 *
 * @param {string} base
 * @param {{workflow: Workflow, template: Workflow, id: string}} work
 * @param {AbortSignal} signal
 */
export async function enqueue(base, { workflow, template, id }, signal) {
  const json = { prompt: workflow, client_id: id, prompt_id: id };
  const response = await sendRequest(`${base}/prompt`, { signal, method: "POST", json });
  if (response.status === 400) throw rejectedWorkflow(tryParseJson(response), template);
  if (response.status !== 200) throw failureFrom(response);
  const { prompt_id: assigned, node_errors: nodeErrors } = parseJson(response) ?? {};
  if (Object.keys(nodeErrors ?? {}).length > 0) throw rejectedWorkflow({ node_errors: nodeErrors }, template);
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
  return [...running, ...pending].find((item) => isOwn(item, id))?.[1];
}

/**
 * Remove the workflow from the queue, or interrupt it if it is running. Never rejects. If ComfyUI does not answer, it
 * is tried again later, after the promise is resolved.
 *
 * @param {string} base
 * @param {string} id
 */
export async function cancel(base, id, delaysMs = CANCEL_DELAYS_MS) {
  if (!await tryToCancel(base, id)) void cancelLater(base, id, delaysMs);
}

/** @type {(base: string, id: string, delaysMs: number[]) => Promise<void>} */
async function cancelLater(base, id, delaysMs) {
  for (const delayMs of delaysMs) {
    await sleep(delayMs, new AbortController().signal);
    if (await tryToCancel(base, id)) return;
  }
}

/** Returns whether ComfyUI answered. @type {(base: string, id: string) => Promise<boolean>} */
async function tryToCancel(base, id) {
  const { signal } = new AbortController();
  const post = { signal, method: "POST", timeoutMs: SHORT_MS };
  try {
    const { pending } = await fetchQueue(base, signal, SHORT_MS);
    const ids = pending.filter((item) => isOwn(item, id)).map(([, itemId]) => itemId);
    await sendRequest(`${base}/queue`, { ...post, json: { delete: [...new Set([id, ...ids])] } });
    // Older versions interrupt any running workflow, so make sure that it is ours.
    const own = (await fetchQueue(base, signal, SHORT_MS)).running.find((item) => isOwn(item, id));
    if (own) await sendRequest(`${base}/interrupt`, { ...post, json: { prompt_id: own[1] } });
    return true;
  } catch {
    return false;
  }
}

/**
 * Make ComfyUI forget the results that it keeps to reuse them, but not the models.
 *
 * @param {string} base
 * @param {AbortSignal} signal
 */
export async function forgetResults(base, signal) {
  const json = { unload_models: false, free_memory: true };
  const response = await sendRequest(`${base}/free`, { signal, method: "POST", json });
  if (response.status !== 200) throw failureFrom(response);
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
  if (response.status === 404) {
    throw new OutputGone("No picture received", { reason: "The file of the picture was deleted in ComfyUI." });
  }
  if (response.status !== 200) throw failureFrom(response);
  return toPicture(response.bytes, host);
}

/** @type {(base: string, id: string, signal: AbortSignal) => Promise<Record<string, any> | undefined>} */
export async function fetchHistory(base, id, signal) {
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
export async function queuePosition(base, id, signal) {
  const { running, pending } = await fetchQueue(base, signal);
  if (running.some((item) => isOwn(item, id))) return 0;
  const index = pending.toSorted((a, b) => a[0] - b[0]).findIndex((item) => isOwn(item, id));
  return index < 0 ? undefined : running.length + index;
}

/** @type {(base: string, signal: AbortSignal, timeoutMs?: number) => Promise<Queue>} */
async function fetchQueue(base, signal, timeoutMs) {
  const response = await sendRequest(`${base}/queue`, { signal, maxBytes: MAX_QUEUE_BYTES, timeoutMs });
  if (response.status !== 200) throw failureFrom(response);
  const { queue_running: running = [], queue_pending: pending = [] } = parseJson(response) ?? {};
  return { running, pending };
}

/**
 * Older versions assign ids of their own; there the client's id identifies our workflow.
 *
 * @param {QueueItem} item
 * @param {string} id
 */
function isOwn([, itemId, , extra], id) {
  return itemId === id || extra?.client_id === id;
}
