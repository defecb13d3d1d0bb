/** Reading the settings of a provider: addresses and objects that a user typed. */

/**
 * The address without a slash at its end, if it is one of the web's.
 *
 * @param {unknown} value
 * @returns {string | undefined}
 */
export function baseUrl(value) {
  if (typeof value !== "string" || !URL.canParse(value)) return undefined;
  const { protocol, origin, pathname } = new URL(value);
  return /^https?:$/.test(protocol) ? `${origin}${pathname}`.replace(/\/+$/, "") : undefined;
}

/**
 * The match pattern of everything at an address's host. Such patterns know no ports.
 *
 * @param {unknown} value
 * @returns {string[]}
 */
export function originsOf(value) {
  const base = baseUrl(value);
  if (!base) return [];
  const { protocol, hostname } = new URL(base);
  return [`${protocol}//${hostname}/*`];
}

/** @type {(value: unknown) => value is Record<string, any>} */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A whole number within bounds, if the value is one.
 *
 * @param {unknown} value
 * @param {number} least
 * @param {number} most
 * @returns {number | undefined}
 */
export function whole(value, least, most) {
  return Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most ? Number(value) : undefined;
}

/**
 * The order's own seed, or any.
 *
 * @param {import("../shared/types.js").Order} order
 * @returns {number}
 */
export function seedOf({ parameters, position }) {
  const seed = whole(parameters.seed, 0, 2 ** 32 - 1);
  return seed === undefined ? Math.floor(Math.random() * 2 ** 32) : (seed + position) % 2 ** 32;
}
