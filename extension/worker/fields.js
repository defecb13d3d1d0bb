/** Reads the fields of received messages. */

/** @typedef {Record<string, unknown>} Fields */

/** A message that cannot be parsed. It is ignored. */
export class InvalidMessage extends Error {}

/** @param {unknown} value @param {string} name @returns {Fields} */
export function requireObject(value, name) {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return /** @type {Fields} */ (value);
  throw new InvalidMessage(`${name} is not an object.`);
}

/** @param {Fields} fields @param {string} name @returns {string} */
export function requiredString(fields, name) {
  const value = fields[name];
  if (typeof value === "string" && value) return value;
  throw new InvalidMessage(`${name} is missing or not text.`);
}

/** @param {Fields} fields @param {string} name */
export function optionalString(fields, name) {
  const value = fields[name];
  return typeof value === "string" ? value : undefined;
}

/** @param {string} url @param {string} name */
export function requireHttpUrl(url, name) {
  if (/^https?:\/\//i.test(url) && URL.canParse(url)) return url;
  throw new InvalidMessage(`${name} is not an http address.`);
}

/**
 * An object with this field, or an empty one if the value is undefined.
 *
 * @template {string} Name
 * @template T
 * @param {Name} name
 * @param {T | undefined} value
 * @returns {Partial<Record<Name, T>>}
 */
export function optional(name, value) {
  return value === undefined ? {} : /** @type {Partial<Record<Name, T>>} */ ({ [name]: value });
}
