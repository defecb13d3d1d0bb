/** All kinds of providers, and the choice of a configured provider for a model. */

import { automatic1111 } from "./automatic1111.js";
import { canvas } from "./canvas.js";
import { comfyui } from "./comfyui.js";
import { openai } from "./openai.js";
import { page } from "./page.js";

/** @typedef {import("../shared/types.js").Provider} Provider */
/** @typedef {import("../shared/types.js").ProviderEntry} ProviderEntry */

/** @type {ReadonlyMap<string, Provider>}  by kind, in the order of the options page */
export const providers = new Map([canvas, openai, automatic1111, comfyui, page].map((each) => [each.kind, each]));

const EVERY_MODEL = "*";
const GENERIC = "image-generation";
// The server treats "image-generation" alone as "every model". No model has this name, so no jobs are assigned.
const NO_MODEL = "(none)";

/**
 * The entry that generates a model: the first that lists it, otherwise the first that lists `*`.
 *
 * @param {ProviderEntry[]} entries
 * @param {string} model
 * @returns {ProviderEntry | undefined}
 */
export function entryForModel(entries, model) {
  const usable = entries.filter(isUsable);
  return usable.find((entry) => entry.models.includes(model))
    ?? usable.find((entry) => entry.models.includes(EVERY_MODEL));
}

/**
 * The capabilities to register with the server.
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
