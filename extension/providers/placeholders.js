/** Placeholders such as `%prompt%` in workflows and recipes. */

import { isObject } from "./validation.js";

const PLACEHOLDER = /%([a-z]+)%/g;

/** @typedef {Record<string, string | number>} Values */

/**
 * Replace all placeholders. A text that consists of one placeholder becomes the value itself, which may be a number.
 * Unknown placeholders stay unchanged.
 *
 * @template T
 * @param {T} template
 * @param {Values} values
 * @returns {T}
 */
export function fillPlaceholders(template, values) {
  return /** @type {T} */ (fill(template, values));
}

/**
 * @param {unknown} template
 * @param {string} name
 */
export function hasPlaceholder(template, name) {
  return JSON.stringify(template).includes(`%${name}%`);
}

/**
 * The names of the job's parameters that a template uses, besides the size.
 *
 * @param {unknown} template
 */
export function parametersIn(template) {
  return Object.entries({ seed: "seed", negative: "negativePrompt", strength: "strength" })
    .filter(([placeholder]) => hasPlaceholder(template, placeholder))
    .map(([, parameter]) => parameter);
}

/** @type {(part: unknown, values: Values) => unknown} */
function fill(part, values) {
  if (typeof part === "string") return fillText(part, values);
  if (Array.isArray(part)) return part.map((each) => fill(each, values));
  if (!isObject(part)) return part;
  return Object.fromEntries(Object.entries(part).map(([name, each]) => [name, fill(each, values)]));
}

/** @type {(text: string, values: Values) => string | number} */
function fillText(text, values) {
  const single = text.match(/^%([a-z]+)%$/)?.[1];
  if (single && Object.hasOwn(values, single)) return values[single];
  return text.replace(PLACEHOLDER, (match, name) => (Object.hasOwn(values, name) ? String(values[name]) : match));
}
