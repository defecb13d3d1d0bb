/** Reads values that a user or a job provided. */

/**
 * The address without a trailing slash; undefined if it is not an http(s) address.
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
 * The match pattern for the host of an address. Match patterns have no ports.
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
 * The value if it is a whole number in this range, otherwise undefined.
 *
 * @param {unknown} value
 * @param {number} min
 * @param {number} max
 * @returns {number | undefined}
 */
export function integerInRange(value, min, max) {
  return Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max ? Number(value) : undefined;
}

/**
 * Stable Diffusion models need sides that are multiples of 8 px.
 *
 * @param {number} px
 * @param {number} min
 */
export function toMultipleOf8(px, min) {
  return Math.max(min, Math.round(px / 8) * 8);
}
