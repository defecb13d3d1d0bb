/** Parses the `inputImages` of a job. */

import { InvalidMessage, optional, requiredString, requireHttpUrl, requireObject } from "./fields.js";

/** @typedef {import("../shared/types.js").InputImage} InputImage */

const MAX_INPUTS = 4;
const SHA256 = /^[0-9a-f]{64}$/i;

/**
 * The input pictures; undefined if the job has none. Throws InvalidMessage.
 *
 * @param {unknown} value
 * @returns {InputImage[] | undefined}
 */
export function parseInputImages(value) {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || value.length < 1 || value.length > MAX_INPUTS) {
    throw new InvalidMessage(`inputImages is not a list of 1 to ${MAX_INPUTS}.`);
  }
  const inputs = value.map(parseInput);
  const masks = inputs.filter(({ role }) => role === "mask");
  if (masks.length > 1) throw new InvalidMessage("inputImages has more than one mask.");
  if (masks.length === inputs.length) throw new InvalidMessage("inputImages has a mask, and no picture.");
  return inputs;
}

/** @type {(value: unknown, index: number) => InputImage} */
function parseInput(value, index) {
  const name = `inputImages[${index}]`;
  const fields = requireObject(value, name);
  const { mimeType, role, strength } = fields;
  if (mimeType !== "image/png") throw new InvalidMessage(`${name}.mimeType is not image/png.`);
  if (role !== "image" && role !== "mask") throw new InvalidMessage(`${name}.role is neither image nor mask.`);
  const sha256 = requiredString(fields, "sha256");
  if (!SHA256.test(sha256)) throw new InvalidMessage(`${name}.sha256 is not a SHA-256 in hexadecimal.`);
  return {
    url: requireHttpUrl(requiredString(fields, "url"), `${name}.url`), sha256: sha256.toLowerCase(), role,
    ...optional("strength", parseStrength(strength, name)),
  };
}

/** @type {(value: unknown, name: string) => number | undefined} */
function parseStrength(value, name) {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && value >= 0 && value <= 1) return value;
  throw new InvalidMessage(`${name}.strength is not a number from 0 to 1.`);
}
