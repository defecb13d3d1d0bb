/** ComfyUI on the user's own machine, with the user's own workflow. */

import { Failure } from "../shared/failures.js";
import { attemptId } from "./attempt_id.js";
import { cancel, requireBaseUrl } from "./comfyui_api.js";
import { checkWorkflow, firstCheckpoint, noCheckpoint } from "./comfyui_check.js";
import { runWorkflow } from "./comfyui_run.js";
import {
  fileNames, INPUT_WORKFLOW, inputSupport, inputWorkflowProblem, plainWorkflowProblem,
} from "./comfyui_inputs.js";
import { DEFAULT_WORKFLOW } from "./comfyui_workflow.js";
import { setOriginRule } from "./origin_rule.js";
import { fillPlaceholders, hasPlaceholder, parametersIn } from "./placeholders.js";
import { seedOf } from "./seeds.js";
import { originsOf, toMultipleOf8 } from "./validation.js";

const ADDRESS = "http://127.0.0.1:8188";
const MIN_SIDE_PX = 16;
/** What the check fills into the workflow. @type {PictureRequest} */
const EXAMPLE = {
  requestId: "check", prompt: "a lighthouse", model: "test", width: 512, height: 512, position: 0, parameters: {},
  attempt: "check", begun: false,
};
const EXAMPLE_FILES = { image: "example.png", mask: "example.png", strength: 0.5 };

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
    {
      name: "inputWorkflow", label: "Workflow for variations and edits", type: "json",
      demonstration: () => INPUT_WORKFLOW,
      help: "For jobs with a picture. Also in the API format; %image% is replaced by the name of the picture, for a "
        + "LoadImage node, and %strength% by how much may change, from 0 to 1. With %mask%, for a LoadImageMask node "
        + "with the channel alpha, it makes edits, too. Without this workflow, such jobs go to other generators.",
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
  problems: ({ workflow, inputWorkflow }) => {
    /** @type {Record<string, string>} */
    const problems = {};
    const problem = workflow ? plainWorkflowProblem(workflow) : undefined;
    const inputProblem = inputWorkflow ? inputWorkflowProblem(inputWorkflow) : undefined;
    if (problem) problems.workflow = problem;
    if (inputProblem) problems.inputWorkflow = inputProblem;
    return problems;
  },
  inputs: inputSupport,
  check: async (settings, signal) => {
    const base = requireBaseUrl(settings.address ?? ADDRESS);
    await setOriginRule(base, settings.hideOrigin === true);
    const { inputWorkflow } = settings;
    if (inputWorkflow) {
      const { workflow } = await buildWorkflow(base, inputWorkflow, EXAMPLE, EXAMPLE_FILES, { settings, signal });
      await checkWorkflow(base, workflow, signal);
    }
    const { workflow } = await buildWorkflow(base, mainWorkflow(settings), EXAMPLE, {}, { settings, signal });
    return checkWorkflow(base, workflow, signal);
  },
  generate: async (request, context) => {
    const base = requireBaseUrl(context.settings.address ?? ADDRESS);
    await setOriginRule(base, context.settings.hideOrigin === true);
    context.progress(0, "Sending the workflow");
    const { inputs } = request;
    const template = inputs ? context.settings.inputWorkflow : mainWorkflow(context.settings);
    const files = inputs ? await fileNames(base, template, inputs, context.signal) : {};
    const work = await buildWorkflow(base, template, request, files, context);
    context.used({ seed: work.seed, parameters: parametersIn(work.template) });
    return runWorkflow(base, work, request, context);
  },
  // The workflow of an earlier worker has the same id, and is waited for instead of being sent again.
  resumes: true,
  abandon: async (request, { address }) => cancel(requireBaseUrl(address ?? ADDRESS), await attemptId(request)),
};

/** @type {(settings: Record<string, any>) => Workflow} */
function mainWorkflow({ workflow }) {
  return workflow ?? DEFAULT_WORKFLOW;
}

/**
 * @param {string} base
 * @param {Workflow} template
 * @param {PictureRequest} request
 * @param {import("./placeholders.js").Values} files  values of the placeholders for input pictures
 * @param {Pick<GenerationContext, "settings" | "signal">} context
 */
async function buildWorkflow(base, template, request, files, { settings, signal }) {
  const problem = files.image ? inputWorkflowProblem(template) : plainWorkflowProblem(template);
  if (problem) throw new Failure("The workflow is not set up correctly", { reason: problem });
  const { negativePrompt } = request.parameters;
  const seed = seedOf(request);
  const workflow = fillPlaceholders(template, {
    ...files,
    prompt: request.prompt,
    negative: typeof negativePrompt === "string" ? negativePrompt : settings.negative ?? "",
    width: toMultipleOf8(request.width, MIN_SIDE_PX),
    height: toMultipleOf8(request.height, MIN_SIDE_PX),
    seed,
    model: request.model,
    checkpoint: await resolveCheckpoint(base, template, settings, signal),
  });
  return { workflow, template, seed: hasPlaceholder(template, "seed") ? seed : undefined };
}

/** @type {(base: string, template: Workflow, settings: Record<string, any>, signal: AbortSignal) => Promise<string>} */
async function resolveCheckpoint(base, template, { checkpoint }, signal) {
  if (checkpoint || !hasPlaceholder(template, "checkpoint")) return checkpoint ?? "";
  const first = await firstCheckpoint(base, signal);
  if (first) return first;
  throw noCheckpoint();
}
