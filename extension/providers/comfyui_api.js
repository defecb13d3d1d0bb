/** The questions that ComfyUI answers over HTTP. */

import { Failure } from "../worker/failures.js";
import { baseUrl } from "./fields.js";
import { ask, PICTURE_BYTES, read, readIfJson } from "./http.js";
import { picture } from "./pictures.js";
import { failureOf, UNTIL_SEEN_TO_MS } from "./refusals.js";
import { pause, unlessAborted } from "./waiting.js";
import { brief } from "./words.js";

const POLL_MS = 1000;
// Where its socket tells of the end, asking is only for what the socket lost.
const SLOW_POLL_MS = 2000;
const SHORT_MS = 5000;
const HISTORY_BYTES = 16 * 1024 * 1024;

/** @typedef {import("./comfyui_workflow.js").Workflow} Workflow */
/** @typedef {{filename: string, subfolder?: string, type?: string}} Output */

/** The address that is set. @type {(address: unknown) => string} */
export function access(address) {
  const base = baseUrl(address);
  if (!base) throw new Failure("The generator is set up wrongly", { reason: "The address of ComfyUI is none." });
  return base;
}

/** @type {(base: string, signal: AbortSignal) => Promise<string | undefined>} */
export async function firstCheckpoint(base, signal) {
  const answer = await ask(`${base}/object_info/CheckpointLoaderSimple`, { signal, maxBytes: HISTORY_BYTES });
  if (answer.status !== 200) throw refusal(answer);
  return firstChoice(read(answer)?.CheckpointLoaderSimple?.input?.required?.ckpt_name);
}

/**
 * Of an input, as nodes describe them: `[[...names], {}]`, or newer, `["COMBO", {options: [...names]}]`.
 *
 * @param {any} input
 * @returns {string | undefined}
 */
function firstChoice(input) {
  const names = Array.isArray(input?.[0]) ? input[0] : input?.[1]?.options;
  return typeof names?.[0] === "string" ? names[0] : undefined;
}

/**
 * Put a workflow at the end of its queue, under a name of ours. The answer is the name by which it goes: older versions
 * make one of their own.
 *
 * @param {string} base
 * @param {Workflow} workflow
 * @param {string} id
 * @param {AbortSignal} signal
 */
export async function enqueue(base, workflow, id, signal) {
  const json = { prompt: workflow, client_id: id, prompt_id: id };
  const answer = await ask(`${base}/prompt`, { signal, method: "POST", json });
  if (answer.status === 400) throw notAccepted(readIfJson(answer));
  if (answer.status !== 200) throw refusal(answer);
  const named = read(answer)?.prompt_id;
  if (typeof named !== "string") throw new Failure("Unreadable answer", { reason: "ComfyUI took no work." });
  return named;
}

/**
 * Wait for the end, and give what came of it.
 *
 * @param {string} base
 * @param {string} id
 * @param {import("./comfyui_socket.js").Heard} socket
 * @param {(before: number) => void} tell  hears again and again how many stand before it, 0 where it runs
 * @param {AbortSignal} signal
 * @returns {Promise<Output[]>}
 */
export async function finished(base, id, socket, tell, signal) {
  for (let missed = 0; missed < 3;) {
    const next = socket.next();
    const entry = await historyOf(base, id, signal);
    if (entry) return outputsOf(entry);
    const before = await placeOf(base, id, signal);
    missed = before === undefined ? missed + 1 : 0;
    if (before !== undefined) tell(before);
    const wait = pause(socket.open && before !== undefined ? SLOW_POLL_MS : POLL_MS, signal);
    await unlessAborted(Promise.race([next, wait]), signal);
  }
  const reason = "ComfyUI no longer knows of it: it was restarted, or its queue was cleared.";
  throw new Failure("The generator lost the work", { reason });
}

/**
 * Stop the work, wherever it is. Rejects with nothing: there is nobody to be told.
 *
 * @param {string} base
 * @param {string} id
 */
export async function cancel(base, id) {
  const { signal } = new AbortController();
  const post = { signal, method: "POST", timeoutMs: SHORT_MS };
  try {
    await ask(`${base}/queue`, { ...post, json: { delete: [id] } });
    // Older versions interrupt whatever runs, so only what is known to run is.
    if (await placeOf(base, id, signal) === 0) await ask(`${base}/interrupt`, { ...post, json: { prompt_id: id } });
  } catch {
    // It does not hear.
  }
}

/** @type {(base: string, outputs: Output[], signal: AbortSignal) => Promise<Blob>} */
export async function pictureOf(base, outputs, signal) {
  const { host } = new URL(base);
  const chosen = outputs.find(({ type }) => type === "output") ?? outputs[0];
  if (!chosen) throw new Failure("No picture came", { reason: "The workflow ended without saving a picture." });
  const { filename, subfolder = "", type = "output" } = chosen;
  const answer = await ask(`${base}/view?${new URLSearchParams({ filename, subfolder, type })}`, {
    signal, maxBytes: PICTURE_BYTES,
  });
  if (answer.status !== 200) throw refusal(answer);
  return picture(answer.bytes, host);
}

/** @type {(base: string, id: string, signal: AbortSignal) => Promise<Record<string, any> | undefined>} */
async function historyOf(base, id, signal) {
  const answer = await ask(`${base}/history/${encodeURIComponent(id)}`, { signal, maxBytes: HISTORY_BYTES });
  if (answer.status !== 200) throw refusal(answer);
  return read(answer)?.[id];
}

/**
 * How many stand before it: 0 where it runs, nothing where it is not there.
 *
 * @param {string} base
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<number | undefined>}
 */
async function placeOf(base, id, signal) {
  const answer = await ask(`${base}/queue`, { signal, maxBytes: HISTORY_BYTES });
  const { queue_running: running = [], queue_pending: pending = [] } = readIfJson(answer) ?? {};
  /** @type {(items: any[]) => number} */
  const at = (items) => items.findIndex(([, known]) => known === id);
  if (at(running) >= 0) return 0;
  pending.sort((/** @type {any[]} */ one, /** @type {any[]} */ other) => one[0] - other[0]);
  return at(pending) < 0 ? undefined : running.length + at(pending);
}

/** @type {(entry: Record<string, any>) => Output[]} */
function outputsOf({ outputs, status }) {
  if (status?.status_str === "error") throw broken(status.messages ?? []);
  return Object.values(outputs ?? {}).flatMap((each) => /** @type {any} */ (each)?.images ?? []);
}

/** @type {(messages: [string, any][]) => Failure} */
function broken(messages) {
  const error = messages.find(([type]) => type === "execution_error")?.[1];
  if (!error) return new Failure("The work was interrupted", { reason: "Somebody interrupted it in ComfyUI." });
  const reason = brief(`${error.node_type ?? "A node"}: ${error.exception_message ?? error.exception_type}`);
  return new Failure("The generator failed", { reason });
}

/** @type {(body: any) => Failure} */
function notAccepted(body) {
  const [node] = Object.values(body?.node_errors ?? {});
  const error = node?.errors?.[0];
  const words = [body?.error?.message, node?.class_type, error?.message, error?.details].filter(Boolean);
  const reason = brief(`ComfyUI does not take the workflow: ${words.join("; ")}`);
  return new Failure("The workflow is set up wrongly", { reason, retryAfterMs: UNTIL_SEEN_TO_MS });
}

/** @type {(answer: import("./http.js").Answer) => Failure} */
function refusal(answer) {
  if (answer.status !== 403) return failureOf(answer);
  const reason = `${answer.host} turns away what does not come from its own page (403). `
    + "Start ComfyUI with --enable-cors-header, or switch on \"Hide the extension's origin\" in the options.";
  return new Failure("Not let in by the generator", { reason, retryAfterMs: UNTIL_SEEN_TO_MS });
}
