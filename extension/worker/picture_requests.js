/** Reads and validates a job's parameters. */

import { Failure } from "../shared/failures.js";

/** @typedef {import("../shared/types.js").Inputs} Inputs */
/** @typedef {import("../shared/types.js").Job} Job */
/** @typedef {import("../shared/types.js").PictureRequest} PictureRequest */
/** @typedef {import("./records.js").JobRecord} JobRecord */

const DEFAULT_SIDE_PX = 1024;
export const MAX_SIDE_PX = 8192;
const MAX_PICTURES = 10;

/** The number of pictures of a job. Throws Failure. @param {Job} job */
export function pictureCount({ parameters }) {
  return readInteger(parameters, "numberOfImages", 1, MAX_PICTURES);
}

/**
 * The request for one picture. Throws Failure.
 *
 * @param {JobRecord} record
 * @param {number} position
 * @param {Inputs} [inputs]
 * @returns {PictureRequest}
 */
export function pictureRequest({ job, takenAt, begun }, position, inputs) {
  const { requestId, prompt, model, parameters } = job;
  const { width, height } = sizeOf(parameters, inputs);
  const attempt = `${requestId} ${job.lease ?? takenAt}`;
  return { requestId, prompt, model, width, height, position, parameters, attempt, begun: begun === position, inputs };
}

/** @type {(parameters: Job["parameters"], inputs?: Inputs) => {width: number, height: number}} */
function sizeOf(parameters, inputs) {
  const isGiven = ["width", "height"].some((name) => parameters[name] !== undefined && parameters[name] !== null);
  if (inputs && !isGiven) return inputs.size;
  return {
    width: readInteger(parameters, "width", DEFAULT_SIDE_PX, MAX_SIDE_PX),
    height: readInteger(parameters, "height", DEFAULT_SIDE_PX, MAX_SIDE_PX),
  };
}

/** @param {Job["parameters"]} parameters @param {string} name @param {number} initial @param {number} max */
function readInteger(parameters, name, initial, max) {
  const value = parameters[name] ?? initial;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new Failure("Invalid parameters", {
    reason: `${name} must be a whole number from 1 to ${max}.`,
    retryable: false,
  });
}
