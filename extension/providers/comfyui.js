/** ComfyUI on the user's own machine, with the user's own workflow. */

import { Failure } from "../shared/failures.js";
import { sleep } from "./abortable.js";
import { attemptId } from "./attempt_id.js";
import {
  cancel, downloadPicture, enqueue, findWorkflow, firstCheckpoint, requireBaseUrl, waitForOutputs,
} from "./comfyui_api.js";
import { openProgressSocket } from "./comfyui_socket.js";
import { DEFAULT_WORKFLOW, workflowProblem } from "./comfyui_workflow.js";
import { setOriginRule } from "./origin_rule.js";
import { fillPlaceholders, hasPlaceholder } from "./placeholders.js";
import { originsOf, seedOf, toMultipleOf8 } from "./validation.js";

const ADDRESS = "http://127.0.0.1:8188";
const SOCKET_MS = 3000;
const MIN_SIDE_PX = 16;

/** @typedef {import("../shared/types.js").PictureRequest} PictureRequest */
/** @typedef {import("../shared/types.js").GenerationContext} GenerationContext */
/** @typedef {import("./comfyui_workflow.js").Workflow} Workflow */

/** @type {import("../shared/types.js").Provider} */
export const comfyui = {
  kind: "comfyui",
  title: "ComfyUI",
  about: "Runs your own workflow in ComfyUI on your own machine.",
  fields: [
    { name: "address", label: "Address", type: "url", initial: ADDRESS, required: true },
    {
      name: "workflow", label: "Workflow", type: "json", initial: DEFAULT_WORKFLOW,
      demonstration: () => DEFAULT_WORKFLOW,
      help: "In the API format. %prompt%, %negative%, %width%, %height%, %seed%, %checkpoint% and %model% are "
        + "replaced by the values of each job.",
    },
    { name: "checkpoint", label: "Checkpoint", type: "text", help: "Leave empty to use the first one." },
    { name: "negative", label: "Negative prompt", type: "text" },
    {
      name: "hideOrigin", label: "Hide the extension's origin", type: "boolean", initial: false,
      help: "ComfyUI rejects requests from other origins than its own page. This removes the Origin header. "
        + "Alternatively, start ComfyUI with --enable-cors-header.",
    },
    { name: "timeoutS", label: "Timeout (s)", type: "number", initial: 600, min: 10, max: 3600 },
  ],
  origins: ({ address }) => originsOf(address ?? ADDRESS),
  problems: ({ workflow }) => {
    /** @type {Record<string, string>} */
    const problems = {};
    const problem = workflow ? workflowProblem(workflow) : undefined;
    if (problem) problems.workflow = problem;
    return problems;
  },
  check: async (settings, signal) => {
    const base = requireBaseUrl(settings.address ?? ADDRESS);
    await setOriginRule(base, settings.hideOrigin === true);
    const checkpoint = await firstCheckpoint(base, signal);
    return checkpoint ? `Connected. First checkpoint: ${checkpoint}.` : "Connected, but it has no checkpoint.";
  },
  generate: async (request, context) => {
    const base = requireBaseUrl(context.settings.address ?? ADDRESS);
    await setOriginRule(base, context.settings.hideOrigin === true);
    context.progress(0, "Sending the workflow");
    return run(base, await attemptId(request), request, context);
  },
  // The workflow of an earlier worker has the same id, and is waited for instead of being sent again.
  resumes: true,
  abandon: async (request, { address }) => cancel(requireBaseUrl(address ?? ADDRESS), await attemptId(request)),
};

/** @type {(base: string, clientId: string, request: PictureRequest, context: GenerationContext) => Promise<Blob>} */
async function run(base, clientId, request, context) {
  const { signal, progress, settings } = context;
  const workflow = await buildWorkflow(base, request, context);
  let id = clientId;
  const timeout = AbortSignal.timeout((Number(settings.timeoutS) || 600) * 1000);
  const bounded = AbortSignal.any([signal, timeout]);
  const { onNodeProgress, repeat } = progressReporter(workflow, progress);
  const socket = openProgressSocket(base, clientId, onNodeProgress);
  try {
    // Progress that is sent before the socket is open is lost.
    await Promise.race([socket.settled, sleep(SOCKET_MS, bounded)]);
    const earlier = request.begun ? await findWorkflow(base, clientId, bounded) : undefined;
    id = earlier ?? await enqueue(base, workflow, clientId, bounded);
    const outputs = await waitForOutputs(base, id, socket, (position) => {
      if (position > 0) progress(0, `Waiting: queue position ${position}`);
      else repeat();
    }, bounded);
    progress(99, "Downloading the picture");
    const blob = await downloadPicture(base, outputs, bounded);
    progress(100, "Done");
    return blob;
  } catch (problem) {
    if (bounded.aborted) await cancel(base, id);
    signal.throwIfAborted();
    if (!timeout.aborted) throw problem;
    const reason = `ComfyUI did not finish within ${settings.timeoutS} s.`;
    throw new Failure("The generator took too long", { reason, code: "ERR_TIMEOUT" });
  } finally {
    socket.close();
  }
}

/**
 * Converts the progress of nodes, each of which starts at 0, to progress that never decreases.
 *
 * @param {Workflow} workflow
 * @param {GenerationContext["progress"]} progress
 */
function progressReporter(workflow, progress) {
  let highest = 0;
  let message = "Generating";
  const repeat = () => progress(highest, message);
  /** @type {(fraction: number | undefined, node: string | undefined) => void} */
  const onNodeProgress = (fraction, node) => {
    const name = node && workflow[node]?.class_type;
    if (!name) return;
    highest = Math.max(highest, Math.floor(95 * (fraction ?? 0)));
    message = `Running ${name}`;
    repeat();
  };
  return { onNodeProgress, repeat };
}

/** @type {(base: string, request: PictureRequest, context: GenerationContext) => Promise<Workflow>} */
async function buildWorkflow(base, request, { settings, signal }) {
  const template = settings.workflow ?? DEFAULT_WORKFLOW;
  const problem = workflowProblem(template);
  if (problem) throw new Failure("The workflow is not set up correctly", { reason: problem });
  const { negativePrompt } = request.parameters;
  return fillPlaceholders(template, {
    prompt: request.prompt,
    negative: typeof negativePrompt === "string" ? negativePrompt : settings.negative ?? "",
    width: toMultipleOf8(request.width, MIN_SIDE_PX),
    height: toMultipleOf8(request.height, MIN_SIDE_PX),
    seed: seedOf(request),
    model: request.model,
    checkpoint: await resolveCheckpoint(base, template, settings, signal),
  });
}

/** @type {(base: string, template: Workflow, settings: Record<string, any>, signal: AbortSignal) => Promise<string>} */
async function resolveCheckpoint(base, template, { checkpoint }, signal) {
  if (checkpoint || !hasPlaceholder(template, "checkpoint")) return checkpoint ?? "";
  const first = await firstCheckpoint(base, signal);
  if (first) return first;
  throw new Failure("The generator is not set up correctly", { reason: "ComfyUI has no checkpoint." });
}
