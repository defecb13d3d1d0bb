/** All kinds of providers, and the choice of a configured provider for a model. */

import { automatic1111 } from "./automatic1111.js";
import { canvas } from "./canvas.js";
import { comfyui } from "./comfyui.js";
import { openai } from "./openai.js";
import { page } from "./page.js";

/** @typedef {import("../shared/types.js").Provider} Provider */
/** @typedef {import("../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {import("../shared/types.js").Operation} Operation */
/** @typedef {{operation: Operation, images: number}} InputNeed  what a job with input pictures needs; masks excluded */

/** @type {ReadonlyMap<string, Provider>}  by kind, in the order of the options page */
export const providers = new Map([canvas, openai, automatic1111, comfyui, page].map((each) => [each.kind, each]));

const EVERY_MODEL = "*";
const GENERIC = "image-generation";
// The server treats "image-generation" alone as "every model". No model has this name, so no jobs are assigned.
export const NO_MODEL = "(none)";
/** @type {Operation[]} */
const OPERATIONS = ["image-variation", "image-edit"];
/** The server accepts no more. */
const MAX_CAPABILITIES = 64;

/**
 * The entry that generates a model: the first that lists it, otherwise the first that lists `*`. Names match without
 * case, as on the server.
 *
 * @param {ProviderEntry[]} entries
 * @param {string} model
 * @returns {ProviderEntry | undefined}
 */
export function entryForModel(entries, model) {
  return entriesForModel(entries, model)[0];
}

/**
 * The entry that makes a job with input pictures: the first of those for its model that can. Another model is no
 * substitute, so an entry with `*` is chosen only if no other entry lists the model.
 *
 * @param {ProviderEntry[]} entries
 * @param {string} model
 * @param {InputNeed} need
 * @returns {ProviderEntry | undefined}
 */
export function entryForInputs(entries, model, { operation, images }) {
  return entriesForModel(entries, model).find((entry) => {
    const support = providers.get(entry.kind)?.inputs?.(entry.settings, model);
    return support && support.operations.includes(operation) && support.maxImages >= images;
  });
}

/** What an entry can do with input pictures, for at least one of its models. @param {ProviderEntry} entry */
export function operationsOf({ kind, models, settings }) {
  const supports = models.map((model) => providers.get(kind)?.inputs?.(settings, model));
  return OPERATIONS.filter((operation) => supports.some((support) => support?.operations.includes(operation)));
}

/** Every entry that gets jobs for a model, with or without input pictures. @type {typeof entriesForModel} */
export function entriesInUse(entries, model) {
  const forInputs = OPERATIONS.map((operation) => entryForInputs(entries, model, { operation, images: 1 }));
  return [entryForModel(entries, model), ...forInputs].filter((entry) => entry !== undefined);
}

/** @type {(entries: ProviderEntry[], model: string) => ProviderEntry[]} */
function entriesForModel(entries, model) {
  const usable = entries.filter(isUsable);
  const name = model.toLowerCase();
  const named = usable.filter((entry) => entry.models.some((each) => each.toLowerCase() === name));
  return named.length > 0 ? named : usable.filter((entry) => entry.models.includes(EVERY_MODEL));
}

/**
 * The capabilities to register with the server: the models whose entry is not paused. While an entry that lists a model
 * by name is paused, there is no `*` either, because the server would take it to include that model. After the models
 * come the operations that at least one of them can do with input pictures.
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
  const operations = OPERATIONS.filter((operation) => models.some((model) => {
    const entry = entryForInputs(entries, model, { operation, images: 1 });
    return entry && !isPaused(entry);
  }));
  const announced = models.length > 0 ? models.slice(0, MAX_CAPABILITIES - 1 - operations.length) : [NO_MODEL];
  return [GENERIC, ...announced, ...operations];
}

/** @type {(entry: ProviderEntry) => boolean} */
function isUsable(entry) {
  return entry.enabled && providers.has(entry.kind);
}
