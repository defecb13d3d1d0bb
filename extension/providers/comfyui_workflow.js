/** ComfyUI workflows in the API format, with placeholders for the values of a job. */

import { hasPlaceholder } from "./placeholders.js";
import { isObject } from "./validation.js";

/** @typedef {Record<string, {class_type: string, inputs: Record<string, any>}>} Workflow */

/** Text to image with any Stable Diffusion checkpoint. @type {Workflow} */
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
 * Why a workflow cannot be used, or undefined if it can.
 *
 * @param {unknown} template
 * @returns {string | undefined}
 */
export function workflowProblem(template) {
  if (!isObject(template) || Object.keys(template).length === 0) return "This is not a workflow.";
  if (Array.isArray(template.nodes)) {
    return "This is the format of the editor. Use \"Export (API)\" in ComfyUI and paste that file.";
  }
  const invalid = Object.keys(template).find((name) => !isNode(template[name]));
  if (invalid) return `Node "${invalid}" has no class_type or inputs. Paste a workflow in the API format.`;
  if (!hasPlaceholder(template, "prompt")) return "The workflow has no %prompt%. Insert it where the prompt belongs.";
  return undefined;
}

/** @type {(node: unknown) => boolean} */
function isNode(node) {
  return isObject(node) && typeof node.class_type === "string" && isObject(node.inputs);
}
