/**
 * Checks ComfyUI as far as a job would use it, without its cost: it is sent a POST that it must refuse for its content,
 * and every node and choice of the workflow is looked up.
 */

import { Failure } from "../shared/failures.js";
import { failureFrom } from "./comfyui_errors.js";
import { parseJson, sendRequest, tryParseJson } from "./http.js";
import { NEEDS_USER_MS } from "./http_failures.js";
import { isObject } from "./validation.js";

const MAX_INFO_BYTES = 16 * 1024 * 1024;
const CHECKPOINT_LOADER = "CheckpointLoaderSimple";
const REMEDY = "Install the missing nodes in ComfyUI, or use another workflow.";

/** @typedef {import("./comfyui_workflow.js").Workflow} Workflow */

/**
 * Returns a message for the user. Rejects with a Failure that names the remedy.
 *
 * @param {string} base
 * @param {Workflow} workflow  with its placeholders filled
 * @param {AbortSignal} signal
 */
export async function checkWorkflow(base, workflow, signal) {
  await checkPost(base, signal);
  const kinds = [...new Set(Object.values(workflow).map((node) => node.class_type))];
  const infos = new Map(await Promise.all(kinds.map(async (kind) => {
    return /** @type {const} */ ([kind, await nodeInfo(base, kind, signal)]);
  })));
  for (const { class_type: kind, inputs } of Object.values(workflow)) {
    const info = infos.get(kind);
    if (!info) throw notSetUp(`ComfyUI has no node ${kind}. ${REMEDY}`);
    checkChoices(kind, inputs, info);
  }
  const loader = Object.values(workflow).find(({ class_type: kind }) => kind === CHECKPOINT_LOADER);
  const checkpoint = loader?.inputs.ckpt_name;
  const detail = typeof checkpoint === "string" ? ` Checkpoint: ${checkpoint}.` : "";
  return `Connected, and the workflow can be used.${detail}`;
}

/**
 * ComfyUI compares the origin of POST requests only. Without a workflow it answers 400 and does nothing.
 *
 * @type {(base: string, signal: AbortSignal) => Promise<void>}
 */
async function checkPost(base, signal) {
  const response = await sendRequest(`${base}/prompt`, { signal, method: "POST", json: {} });
  if (response.status === 400 && isObject(tryParseJson(response))) return;
  if (response.status >= 400) throw failureFrom(response);
  throw notSetUp("The server at this address is not ComfyUI.");
}

/** @type {(base: string, kind: string, signal: AbortSignal) => Promise<Record<string, any> | undefined>} */
async function nodeInfo(base, kind, signal) {
  const url = `${base}/object_info/${encodeURIComponent(kind)}`;
  const response = await sendRequest(url, { signal, maxBytes: MAX_INFO_BYTES });
  if (response.status !== 200) throw failureFrom(response);
  return parseJson(response)?.[kind];
}

/** @type {(kind: string, inputs: Record<string, unknown>, info: Record<string, any>) => void} */
function checkChoices(kind, inputs, info) {
  const known = { ...info.input?.required, ...info.input?.optional };
  for (const [name, value] of Object.entries(inputs)) {
    const choices = choicesOf(known[name]);
    if (!choices || typeof value !== "string" || choices.includes(value)) continue;
    if (kind === CHECKPOINT_LOADER && choices.length === 0) throw noCheckpoint();
    throw notSetUp(`ComfyUI has no ${name} "${value}" for ${kind}. Choose another one in the settings or workflow.`);
  }
}

/** @type {(base: string, signal: AbortSignal) => Promise<string | undefined>} */
export async function firstCheckpoint(base, signal) {
  const info = await nodeInfo(base, CHECKPOINT_LOADER, signal);
  return choicesOf(info?.input?.required?.ckpt_name)?.[0];
}

/**
 * The choices of a node's input: `[[...names], {}]`, or in newer versions `["COMBO", {options: [...names]}]`. Undefined
 * if any value is possible, and for lists of files: a node finds them itself, or the job's are uploaded.
 *
 * @param {any} input
 * @returns {string[] | undefined}
 */
function choicesOf(input) {
  if (input?.[1]?.image_upload) return undefined; // the files that are there now
  if (Array.isArray(input?.[0])) return input[0];
  return input?.[0] === "COMBO" && Array.isArray(input[1]?.options) ? input[1].options : undefined;
}

export function noCheckpoint() {
  return notSetUp("ComfyUI has no checkpoint. Put one into its folder models/checkpoints, or use another workflow.");
}

/** @param {string} reason */
function notSetUp(reason) {
  return new Failure("The generator is not set up correctly", { reason, retryAfterMs: NEEDS_USER_MS });
}
