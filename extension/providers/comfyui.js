/** ComfyUI on the user's own machine, with a workflow of the user's own. */

import { Failure } from "../worker/failures.js";
import { access, cancel, enqueue, finished, firstCheckpoint, pictureOf } from "./comfyui_api.js";
import { listen } from "./comfyui_socket.js";
import { DEFAULT_WORKFLOW, workflowProblem } from "./comfyui_workflow.js";
import { originsOf, seedOf } from "./fields.js";
import { setOriginRule } from "./origin_rule.js";
import { filled, hasPlace } from "./places.js";
import { pause } from "./waiting.js";

const ADDRESS = "http://127.0.0.1:8188";
const SOCKET_MS = 3000;

/** @typedef {import("../shared/types.js").Order} Order */
/** @typedef {import("../shared/types.js").Help} Help */
/** @typedef {import("./comfyui_workflow.js").Workflow} Workflow */

/** @type {import("../shared/types.js").Provider} */
export const comfyui = {
  kind: "comfyui",
  title: "ComfyUI",
  about: "Runs a workflow of yours in ComfyUI on your own machine.",
  fields: [
    { name: "address", label: "Address", type: "url", initial: ADDRESS, required: true },
    {
      name: "workflow", label: "Workflow", type: "json", initial: DEFAULT_WORKFLOW,
      demonstration: () => DEFAULT_WORKFLOW,
      help: "In the API format. %prompt%, %negative%, %width%, %height%, %seed%, %checkpoint% and %model% in it "
        + "become what is ordered.",
    },
    { name: "checkpoint", label: "Checkpoint", type: "text", help: "Empty: the first that it has." },
    { name: "negative", label: "Negative prompt", type: "text" },
    {
      name: "hideOrigin", label: "Hide the extension's origin", type: "boolean", initial: false,
      help: "ComfyUI turns browsers away that do not come from its own page. With this on, it is not told. "
        + "Starting it with --enable-cors-header is the other way.",
    },
    { name: "timeoutS", label: "Patience (s)", type: "number", initial: 600, min: 10, max: 3600 },
  ],
  origins: ({ address }) => originsOf(address),
  permissions: ({ hideOrigin }) => (hideOrigin ? ["declarativeNetRequestWithHostAccess"] : []),
  problems: ({ workflow }) => {
    /** @type {Record<string, string>} */
    const problems = {};
    const problem = workflow ? workflowProblem(workflow) : undefined;
    if (problem) problems.workflow = problem;
    return problems;
  },
  check: async (settings, signal) => {
    const base = access(settings.address ?? ADDRESS);
    await setOriginRule(base, settings.hideOrigin === true);
    const checkpoint = await firstCheckpoint(base, signal);
    return checkpoint ? `It answers; its first checkpoint is ${checkpoint}.` : "It answers, and has no checkpoint.";
  },
  generate: async (order, help) => {
    const base = access(help.settings.address ?? ADDRESS);
    await setOriginRule(base, help.settings.hideOrigin === true);
    help.progress(0, "Asking");
    return run(base, await workflowOf(base, order, help), help);
  },
};

/** @type {(base: string, workflow: Workflow, help: Help) => Promise<Blob>} */
async function run(base, workflow, { signal, progress, settings }) {
  /** @type {string} */
  let id = crypto.randomUUID();
  const patience = AbortSignal.timeout((Number(settings.timeoutS) || 600) * 1000);
  const either = AbortSignal.any([signal, patience]);
  const { hear, again } = teller(workflow, progress);
  const socket = listen(base, id, hear);
  try {
    // What it says before somebody listens is lost.
    await Promise.race([socket.settled, pause(SOCKET_MS, either)]);
    id = await enqueue(base, workflow, id, either);
    const outputs = await finished(base, id, socket, (before) => {
      if (before > 0) progress(0, `Waiting: ${before} before it`);
      else again();
    }, either);
    progress(99, "Fetching the picture");
    const blob = await pictureOf(base, outputs, either);
    progress(100, "Done");
    return blob;
  } catch (problem) {
    if (either.aborted) await cancel(base, id);
    signal.throwIfAborted();
    if (!patience.aborted) throw problem;
    const reason = `ComfyUI was not done within ${settings.timeoutS} s.`;
    throw new Failure("The generator took too long", { reason, code: "ERR_TIMEOUT" });
  } finally {
    socket.close();
  }
}

/**
 * What is heard as progress: never less than before, though each node counts from 0 again.
 *
 * @param {Workflow} workflow
 * @param {Help["progress"]} progress
 */
function teller(workflow, progress) {
  let most = 0;
  let words = "Working";
  const again = () => progress(most, words);
  /** @type {(share: number | undefined, node: string | undefined) => void} */
  const hear = (share, node) => {
    const name = node && workflow[node]?.class_type;
    if (!name) return;
    most = Math.max(most, Math.floor(95 * (share ?? 0)));
    words = `Running ${name}`;
    again();
  };
  return { hear, again };
}

/** @type {(base: string, order: Order, help: Help) => Promise<Workflow>} */
async function workflowOf(base, order, { settings, signal }) {
  const template = settings.workflow ?? DEFAULT_WORKFLOW;
  const problem = workflowProblem(template);
  if (problem) throw new Failure("The workflow is set up wrongly", { reason: problem });
  const { negativePrompt } = order.parameters;
  return filled(template, {
    prompt: order.prompt,
    negative: typeof negativePrompt === "string" ? negativePrompt : settings.negative ?? "",
    width: inEights(order.width),
    height: inEights(order.height),
    seed: seedOf(order),
    model: order.model,
    checkpoint: await checkpointOf(base, template, settings, signal),
  });
}

/** @type {(base: string, template: Workflow, settings: Record<string, any>, signal: AbortSignal) => Promise<string>} */
async function checkpointOf(base, template, { checkpoint }, signal) {
  if (checkpoint || !hasPlace(template, "checkpoint")) return checkpoint ?? "";
  const first = await firstCheckpoint(base, signal);
  if (first) return first;
  throw new Failure("The generator is set up wrongly", { reason: "ComfyUI has no checkpoint to work with." });
}

/** Its models think in blocks of 8 px. @type {(px: number) => number} */
function inEights(px) {
  return Math.max(16, Math.round(px / 8) * 8);
}
