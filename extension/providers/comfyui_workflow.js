/** Workflows of ComfyUI in its API format, with places for what an order says. */

import { isObject } from "./fields.js";
import { hasPlace } from "./places.js";

/** @typedef {Record<string, {class_type: string, inputs: Record<string, any>}>} Workflow */

/** Text to picture with any checkpoint of the Stable Diffusion kind. @type {Workflow} */
export const DEFAULT_WORKFLOW = {
  3: {
    class_type: "KSampler",
    inputs: {
      seed: "%seed%", steps: 25, cfg: 7, sampler_name: "euler", scheduler: "normal", denoise: 1,
      model: ["4", 0], positive: ["6", 0], negative: ["7", 0], latent_image: ["5", 0],
    },
  },
  4: { class_type: "CheckpointLoaderSimple", inputs: { ckpt_name: "%checkpoint%" } },
  5: { class_type: "EmptyLatentImage", inputs: { width: "%width%", height: "%height%", batch_size: 1 } },
  6: { class_type: "CLIPTextEncode", inputs: { text: "%prompt%", clip: ["4", 1] } },
  7: { class_type: "CLIPTextEncode", inputs: { text: "%negative%", clip: ["4", 1] } },
  8: { class_type: "VAEDecode", inputs: { samples: ["3", 0], vae: ["4", 2] } },
  9: { class_type: "SaveImage", inputs: { filename_prefix: "imagefleet", images: ["8", 0] } },
};

/**
 * What is wrong with a workflow that somebody pasted: a sentence, or nothing.
 *
 * @param {unknown} template
 * @returns {string | undefined}
 */
export function workflowProblem(template) {
  if (!isObject(template) || Object.keys(template).length === 0) return "This is no workflow.";
  if (Array.isArray(template.nodes)) {
    return "This is the editor's own format. Export it once more with \"Export (API)\", and paste that.";
  }
  const wrong = Object.keys(template).find((name) => !isNode(template[name]));
  if (wrong) return `Node "${wrong}" has no class_type or no inputs: paste a workflow in the API format.`;
  if (!hasPlace(template, "prompt")) return "%prompt% stands nowhere in it: put it where the prompt belongs.";
  return undefined;
}

/** @type {(node: unknown) => boolean} */
function isNode(node) {
  return isObject(node) && typeof node.class_type === "string" && isObject(node.inputs);
}
