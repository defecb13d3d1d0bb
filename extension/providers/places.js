/** Places in what a user wrote, as in `%prompt%`, for what an order says. */

import { isObject } from "./fields.js";

const PLACE = /%([a-z]+)%/g;

/** @typedef {Record<string, string | number>} Values */

/**
 * The template with everything in its place. A text that is one place alone becomes the value itself, number or text;
 * within a longer text it is written out. What is not among the values stays as it stands.
 *
 * @template T
 * @param {T} template
 * @param {Values} values
 * @returns {T}
 */
export function filled(template, values) {
  return /** @type {T} */ (fill(template, values));
}

/**
 * Whether there is such a place in it.
 *
 * @param {unknown} template
 * @param {string} name
 */
export function hasPlace(template, name) {
  return JSON.stringify(template).includes(`%${name}%`);
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
  const alone = text.match(/^%([a-z]+)%$/)?.[1];
  if (alone && Object.hasOwn(values, alone)) return values[alone];
  return text.replace(PLACE, (place, name) => (Object.hasOwn(values, name) ? String(values[name]) : place));
}
