/** Jobs with input pictures in ComfyUI: a workflow of their own, and the upload of the pictures. */

import { Failure } from "../shared/failures.js";
import { failureFrom } from "./comfyui_errors.js";
import { workflowProblem } from "./comfyui_workflow.js";
import { parseJson, sendRequest } from "./http.js";
import { openMask } from "./masks.js";
import { hasPlaceholder } from "./placeholders.js";

/** @typedef {import("../shared/types.js").Inputs} Inputs */
/** @typedef {import("../shared/types.js").InputSupport} InputSupport */
/** @typedef {import("./comfyui_workflow.js").Workflow} Workflow */

const DEFAULT_STRENGTH = 0.75;
const UPLOAD_MS = 120_000;

/**
 * An example: variations and edits with any Stable Diffusion checkpoint. Only what the mask says changes, bit for bit.
 *
 * @type {Workflow}
 */
export const INPUT_WORKFLOW = {
  3: {
    class_type: "KSampler",
    inputs: {
      seed: "%seed%", steps: 25, cfg: 7, sampler_name: "euler", scheduler: "normal", denoise: "%strength%",
      model: ["4", 0], positive: ["6", 0], negative: ["7", 0], latent_image: ["17", 0],
    },
  },
  4: { class_type: "CheckpointLoaderSimple", inputs: { ckpt_name: "%checkpoint%" } },
  6: { class_type: "CLIPTextEncode", inputs: { text: "%prompt%", clip: ["4", 1] } },
  7: { class_type: "CLIPTextEncode", inputs: { text: "%negative%", clip: ["4", 1] } },
  8: { class_type: "VAEDecode", inputs: { samples: ["3", 0], vae: ["4", 2] } },
  9: { class_type: "SaveImage", inputs: { filename_prefix: "imagefleet", images: ["18", 0] } },
  10: { class_type: "LoadImage", inputs: { image: "%image%" } },
  11: {
    class_type: "ImageScale",
    inputs: { image: ["10", 0], upscale_method: "lanczos", width: "%width%", height: "%height%", crop: "center" },
  },
  12: { class_type: "VAEEncode", inputs: { pixels: ["11", 0], vae: ["4", 2] } },
  13: { class_type: "LoadImageMask", inputs: { image: "%mask%", channel: "alpha" } },
  14: { class_type: "MaskToImage", inputs: { mask: ["13", 0] } },
  15: {
    class_type: "ImageScale",
    inputs: { image: ["14", 0], upscale_method: "bilinear", width: "%width%", height: "%height%", crop: "center" },
  },
  16: { class_type: "ImageToMask", inputs: { image: ["15", 0], channel: "red" } },
  17: { class_type: "SetLatentNoiseMask", inputs: { samples: ["12", 0], mask: ["16", 0] } },
  18: {
    class_type: "ImageCompositeMasked",
    inputs: { destination: ["11", 0], source: ["8", 0], x: 0, y: 0, resize_source: false, mask: ["16", 0] },
  },
};

/**
 * Why a workflow cannot be used for jobs with input pictures, or undefined if it can.
 *
 * @param {unknown} template
 * @returns {string | undefined}
 */
export function inputWorkflowProblem(template) {
  const problem = workflowProblem(template);
  if (problem || hasPlaceholder(template, "image")) return problem;
  return "The workflow has no %image%. Insert it into a LoadImage node, in place of the file's name.";
}

/**
 * Why a workflow cannot be used for jobs without input pictures, or undefined if it can.
 *
 * @param {unknown} template
 * @returns {string | undefined}
 */
export function plainWorkflowProblem(template) {
  const problem = workflowProblem(template);
  if (problem || !hasPlaceholder(template, "image")) return problem;
  return "Only jobs with a picture have an %image%. Paste this workflow into the field for variations and edits.";
}

/**
 * With a mask in the workflow, variations are edits of the whole picture.
 *
 * @param {Record<string, any>} settings
 * @returns {InputSupport}
 */
export function inputSupport({ inputWorkflow }) {
  if (!inputWorkflow || inputWorkflowProblem(inputWorkflow)) return { operations: [], maxImages: 0 };
  const hasMask = hasPlaceholder(inputWorkflow, "mask");
  return { operations: hasMask ? ["image-variation", "image-edit"] : ["image-variation"], maxImages: 1 };
}

/**
 * Upload the pictures that a workflow uses. Returns the values of the placeholders for input pictures.
 *
 * @param {string} base
 * @param {Workflow} template
 * @param {Inputs} inputs
 * @param {AbortSignal} signal
 */
export async function fileNames(base, template, { images, mask, size, strength = DEFAULT_STRENGTH }, signal) {
  const image = await upload(base, images[0], signal);
  if (!hasPlaceholder(template, "mask")) return { image, strength };
  return { image, mask: await upload(base, mask ?? await openMask(size), signal), strength };
}

/**
 * The same picture always gets the same name: it is stored once, and ComfyUI finds it in its cache.
 *
 * @param {string} base
 * @param {Blob} blob
 * @param {AbortSignal} signal
 * @returns {Promise<string>}  the name for a node that loads it
 */
async function upload(base, blob, signal) {
  const form = new FormData();
  form.append("image", blob, `imagefleet-${await digestOf(blob)}.png`);
  form.append("type", "input");
  form.append("overwrite", "true");
  const response = await sendRequest(`${base}/upload/image`, { signal, method: "POST", form, timeoutMs: UPLOAD_MS });
  if (response.status !== 200) throw failureFrom(response);
  const { name, subfolder } = parseJson(response) ?? {};
  if (typeof name !== "string") throw new Failure("Invalid response", { reason: "ComfyUI returned no name." });
  return subfolder ? `${subfolder}/${name}` : name;
}

/** @param {Blob} blob */
async function digestOf(blob) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  return Array.from(digest.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
