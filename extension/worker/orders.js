/** What a job wants, picture by picture. */

import { Failure } from "./failures.js";

/** @typedef {import("../shared/types.js").Job} Job */
/** @typedef {import("../shared/types.js").Order} Order */

const USUAL_SIDE_PX = 1024;
const MOST_SIDE_PX = 8192;
const MOST_PICTURES = 10;

/** How many pictures it wants. Throws Failure. @param {Job} job */
export function countOf({ parameters }) {
  return whole(parameters, "numberOfImages", 1, MOST_PICTURES);
}

/** The order for one of them. Throws Failure. @param {Job} job @param {number} position  @returns {Order} */
export function orderFor({ requestId, prompt, model, parameters }, position) {
  const width = whole(parameters, "width", USUAL_SIDE_PX, MOST_SIDE_PX);
  const height = whole(parameters, "height", USUAL_SIDE_PX, MOST_SIDE_PX);
  return { requestId, prompt, model, width, height, position, parameters };
}

/** @param {Job["parameters"]} parameters @param {string} name @param {number} usual @param {number} most */
function whole(parameters, name, usual, most) {
  const value = parameters[name] ?? usual;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Failure("This extension cannot draw that", {
    reason: `${name} must be a whole number from 1 to ${most}.`,
    retryable: false,
  });
}
