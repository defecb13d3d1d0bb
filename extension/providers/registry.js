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
export const NO_MODEL = "(none)";

/**
 * The entry that generates a model: the first that lists it, otherwise the first that lists `*`. Names match without
 * case, as on the server.
 *
 * @param {ProviderEntry[]} entries
 * @param {string} model
 * @returns {ProviderEntry | undefined}
 */
export function entryForModel(entries, model) {
  const usable = entries.filter(isUsable);
  const name = model.toLowerCase();
  return usable.find((entry) => entry.models.some((each) => each.toLowerCase() === name))
    ?? usable.find((entry) => entry.models.includes(EVERY_MODEL));
}

/**
 * The capabilities to register with the server: the models whose entry is not paused. While an entry that lists a model
 * by name is paused, there is no `*` either, because the server would take it to include that model.
 *
 * @param {ProviderEntry[]} entries
 * @param {(entry: ProviderEntry) => boolean} [isPaused]
 * @returns {string[]}
 */
export function capabilities(entries, isPaused = () => false) {
  const listed = [...new Set(entries.filter(isUsable).flatMap((entry) => entry.models))];
  const paused = listed.filter((model) => isPaused(/** @type {ProviderEntry} */ (entryForModel(entries, model))));
  const excluded = paused.length > 0 ? [...paused, EVERY_MODEL] : [];
  const models = listed.filter((model) => !excluded.includes(model));
  return [GENERIC, ...(models.length > 0 ? models : [NO_MODEL])];
}

/** @type {(entry: ProviderEntry) => boolean} */
function isUsable(entry) {
  return entry.enabled && providers.has(entry.kind);
}
