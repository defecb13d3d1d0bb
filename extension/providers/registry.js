/** Which generators there are, and which of the user's own entries makes the pictures of a model. */

import { automatic1111 } from "./automatic1111.js";
import { canvas } from "./canvas.js";
import { comfyui } from "./comfyui.js";
import { openai } from "./openai.js";
import { page } from "./page.js";

/** @typedef {import("../shared/types.js").Provider} Provider */
/** @typedef {import("../shared/types.js").ProviderEntry} ProviderEntry */

/** @type {ReadonlyMap<string, Provider>} by kind, in the order in which the options page offers them */
export const providers = new Map([canvas, openai, automatic1111, comfyui, page].map((each) => [each.kind, each]));

const EVERY_MODEL = "*";
const GENERIC = "image-generation";
// The server takes "image-generation" alone for "every model". No model can have this name, so nothing is sent.
const NO_MODEL = "(none)";

/**
 * The entry that makes a model's pictures: the first that names it, else the first that takes every model.
 *
 * @param {ProviderEntry[]} entries
 * @param {string} model
 * @returns {ProviderEntry | undefined}
 */
export function choose(entries, model) {
  const usable = entries.filter(isUsable);
  return usable.find((entry) => entry.models.includes(model))
    ?? usable.find((entry) => entry.models.includes(EVERY_MODEL));
}

/**
 * What the server is told that this browser can do.
 *
 * @param {ProviderEntry[]} entries
 * @returns {string[]}
 */
export function capabilities(entries) {
  const models = new Set(entries.filter(isUsable).flatMap((entry) => entry.models));
  return [GENERIC, ...(models.size ? models : [NO_MODEL])];
}

/** @type {(entry: ProviderEntry) => boolean} */
function isUsable(entry) {
  return entry.enabled && providers.has(entry.kind);
}
