/** Runs one workflow in ComfyUI: sends it, waits for its end, and fetches the picture. */

import { Failure } from "../shared/failures.js";
import { abortable, sleep } from "./abortable.js";
import { attemptId } from "./attempt_id.js";
import {
  cancel, downloadPicture, enqueue, fetchHistory, findWorkflow, forgetResults, OutputGone, queuePosition,
} from "./comfyui_api.js";
import { executionFailure } from "./comfyui_errors.js";
import { progressReporter } from "./comfyui_progress.js";
import { openProgressSocket } from "./comfyui_socket.js";
import { Unreachable } from "./http.js";

const SOCKET_MS = 3000;
const POLL_MS = 1000;
// While the socket reports the end, polling only covers lost messages.
const SLOW_POLL_MS = 2000;
const MAX_MISSES = 3;
/** A workflow goes on while ComfyUI does not answer, for example because it loads a model or the machine sleeps. */
const OUTAGE_MS = 120_000;

/** @typedef {import("../shared/types.js").PictureRequest} PictureRequest */
/** @typedef {import("../shared/types.js").GenerationContext} GenerationContext */
/** @typedef {import("./comfyui_api.js").Output} Output */
/** @typedef {import("./comfyui_socket.js").ProgressSocket} ProgressSocket */
/** @typedef {import("./comfyui_workflow.js").Workflow} Workflow */
/**
 * @typedef {object} Run
 * @property {string} base
 * @property {string} id  ours; older versions assign their own
 * @property {ProgressSocket} socket
 * @property {(position: number) => void} onPosition  called after each poll; 0 means that it is running
 * @property {AbortSignal} signal
 */

/**
 * @param {string} base
 * @param {{workflow: Workflow, template: Workflow}} work
 * @param {PictureRequest} request
 * @param {GenerationContext} context
 * @returns {Promise<Blob>}
 */
export async function runWorkflow(base, work, request, { signal, progress, previews, settings }) {
  const id = await attemptId(request);
  const timeout = AbortSignal.timeout((Number(settings.timeoutS) || 600) * 1000);
  const bounded = AbortSignal.any([signal, timeout]);
  const reporter = progressReporter(work.workflow, progress);
  const socket = openProgressSocket(base, id, reporter.onMessage, (picture) => void previews?.show(picture));
  const run = { base, id, socket, onPosition: reporter.onPosition, signal: bounded };
  try {
    // Progress that is sent before the socket is open is lost.
    await Promise.race([socket.settled, sleep(SOCKET_MS, bounded)]);
    const blob = await finish(run, await start(run, work, request), work, progress);
    progress(100, "Done");
    return blob;
  } catch (problem) {
    // Whatever went wrong, ComfyUI may still have the workflow.
    await cancel(base, id);
    signal.throwIfAborted();
    if (!timeout.aborted) throw problem;
    const reason = `ComfyUI did not finish within ${settings.timeoutS} s.`;
    throw new Failure("The generator took too long", { reason, code: "ERR_TIMEOUT" });
  } finally {
    socket.close();
  }
}

/**
 * Send the workflow, unless ComfyUI has it from an earlier worker. Returns its id.
 *
 * @param {Run} run
 * @param {{workflow: Workflow, template: Workflow}} work
 * @param {PictureRequest} request
 */
async function start({ base, id, signal }, work, { begun }) {
  const earlier = begun ? await findWorkflow(base, id, signal) : undefined;
  return earlier ?? enqueue(base, { ...work, id }, signal);
}

/**
 * Wait for the end and download the picture. If all results came from ComfyUI's cache and the file was deleted since,
 * the workflow has done no work yet: it is sent once more, with the cache emptied.
 *
 * @param {Run} run
 * @param {string} assignedId
 * @param {{workflow: Workflow, template: Workflow}} work
 * @param {GenerationContext["progress"]} progress
 */
async function finish(run, assignedId, work, progress) {
  const { base, id, signal } = run;
  const outputs = await waitForOutputs(run, assignedId);
  progress(99, "Downloading the picture");
  try {
    return await downloadPicture(base, outputs, signal);
  } catch (problem) {
    if (!(problem instanceof OutputGone)) throw problem;
  }
  await forgetResults(base, signal);
  const again = await attemptId({ attempt: id, position: 0 });
  const secondId = await enqueue(base, { ...work, id: again }, signal);
  try {
    return await downloadPicture(base, await waitForOutputs({ ...run, id: again }, secondId), signal);
  } catch (problem) {
    await cancel(base, again);
    throw problem;
  }
}

/**
 * Wait until the workflow has finished, and return its outputs.
 *
 * @param {Run} run
 * @param {string} assignedId
 * @returns {Promise<Output[]>}
 */
async function waitForOutputs({ base, socket, onPosition, signal }, assignedId) {
  let answeredAt = Date.now();
  for (let misses = 0; misses < MAX_MISSES;) {
    const next = socket.nextEnd();
    let position;
    try {
      const entry = await fetchHistory(base, assignedId, signal);
      if (entry) return outputsOf(entry);
      position = await queuePosition(base, assignedId, signal);
      misses = position === undefined ? misses + 1 : 0;
      answeredAt = Date.now();
    } catch (problem) {
      if (!(problem instanceof Unreachable) || Date.now() - answeredAt > OUTAGE_MS) throw problem;
    }
    if (position !== undefined) onPosition(position);
    const delay = sleep(socket.isOpen && position !== undefined ? SLOW_POLL_MS : POLL_MS, signal);
    await abortable(Promise.race([next, delay]), signal);
  }
  const reason = "ComfyUI has lost the workflow: it was restarted, or its queue was cleared.";
  throw new Failure("The generator lost the job", { reason });
}

/** @type {(entry: Record<string, any>) => Output[]} */
function outputsOf({ outputs, status }) {
  if (status?.status_str === "error") throw executionFailure(status.messages ?? []);
  return Object.values(outputs ?? {}).flatMap((each) => /** @type {any} */ (each)?.images ?? []);
}
