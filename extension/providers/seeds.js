/** Seeds: whole numbers up to 2^64 − 1. Beyond 2^53 they are text, because JSON numbers would be rounded. */

import { Failure } from "../shared/failures.js";

/** @typedef {import("../shared/types.js").PictureRequest} PictureRequest */

/** What ComfyUI's samplers accept. */
export const MAX_SEED = 2n ** 64n - 1n;
/** For generators that read seeds from JSON numbers. */
export const MAX_EXACT_SEED = BigInt(Number.MAX_SAFE_INTEGER);
const MAX_CHOSEN_SEED = 2 ** 32;
/** Customary for: choose one. */
const CHOOSE = -1n;

/**
 * The seed that a request names; undefined if it names none. Throws a Failure if it is not a whole number.
 *
 * @param {PictureRequest["parameters"]} parameters
 * @returns {bigint | undefined}
 */
export function requestedSeed({ seed }) {
  if (seed === undefined || seed === null) return undefined;
  if (Number.isSafeInteger(seed) || (typeof seed === "string" && /^-?\d{1,40}$/.test(seed))) {
    return BigInt(/** @type {number | string} */ (seed));
  }
  throw invalidSeed("seed must be a whole number; one beyond 2^53 must be sent as text.");
}

/**
 * The seed for one picture: the request's seed plus the position, or else a random one that is the same throughout the
 * attempt. Throws a Failure if the generator cannot use the request's seed.
 *
 * @param {PictureRequest} request
 * @param {bigint} max
 * @returns {number | string}
 */
export function seedOf(request, max = MAX_SEED) {
  const seed = requestedSeed(request.parameters);
  if (seed === undefined || seed === CHOOSE) return chosenSeed(request);
  if (seed < 0n || seed > max) throw invalidSeed(`seed must be a whole number from 0 to ${max} for this generator.`);
  return wireSeed((seed + BigInt(request.position)) % (max + 1n));
}

/** A number if that is exact, otherwise text. @param {bigint} seed */
export function wireSeed(seed) {
  return seed <= MAX_EXACT_SEED && seed >= -MAX_EXACT_SEED ? Number(seed) : String(seed);
}

/** A hash (FNV-1a) of the attempt, whose name is random, and the position. @param {PictureRequest} request */
function chosenSeed({ attempt, position }) {
  let hash = 0x811c9dc5;
  for (const char of `${attempt} ${position}`) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return (hash + MAX_CHOSEN_SEED) % MAX_CHOSEN_SEED;
}

/** @param {string} reason */
function invalidSeed(reason) {
  return new Failure("Invalid parameters", { reason, retryable: false });
}
