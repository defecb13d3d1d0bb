/** Between what is typed and what a provider's settings hold. No elements here. */

/** @typedef {import("../../shared/types.js").Field} Field */

/**
 * A setting as its field shows it.
 *
 * @param {Field} field
 * @param {unknown} value
 */
export function textOf(field, value) {
  if (value === undefined || value === null) return "";
  if (field.type === "json" && typeof value !== "string") return JSON.stringify(value, null, 2);
  return String(value);
}

/**
 * What is typed, as its type wants it; undefined where nothing is.
 *
 * @param {Field} field
 * @param {string | boolean} typed
 * @returns {unknown}
 */
export function readField(field, typed) {
  if (typeof typed === "boolean") return typed;
  const text = typed.trim();
  if (!text) return undefined;
  if (field.type === "number") return Number(text);
  return field.type === "json" ? parsed(text).value : text;
}

/**
 * What is wrong with what is typed, as a sentence; empty where all is well.
 *
 * @param {Field} field
 * @param {string | boolean} typed
 */
export function problemOf(field, typed) {
  if (typeof typed === "boolean") return "";
  const text = typed.trim();
  if (!text) return field.required ? "This is needed." : "";
  if (field.type === "number") return numberProblem(field, Number(text));
  if (field.type === "url") return addressProblem(text);
  return field.type === "json" ? parsed(text).problem : "";
}

/** @param {Field} field @param {number} value */
function numberProblem({ min = -Infinity, max = Infinity }, value) {
  if (!Number.isFinite(value)) return "This must be a number.";
  if (value >= min && value <= max) return "";
  if (max === Infinity) return `This must be ${min} or more.`;
  return min === -Infinity ? `This must be ${max} or less.` : `This must be from ${min} to ${max}.`;
}

/** @param {string} text */
function addressProblem(text) {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url && ["http:", "https:"].includes(url.protocol) ? "" : "An address begins with http:// or https://";
}

/** @param {string} text @returns {{value?: unknown, problem: string}} */
function parsed(text) {
  try {
    return { value: JSON.parse(text), problem: "" };
  } catch (error) {
    return { problem: `This is no JSON${where(text, String(error))}.` };
  }
}

/** Where the reader stumbled, as a line that an editor shows. @param {string} text @param {string} error */
function where(text, error) {
  const position = / at position (\d+)/.exec(error)?.[1];
  if (position === undefined) return ": something is missing at its end, or stands where it must not";
  const lines = text.slice(0, Number(position)).split("\n");
  return `: look at line ${lines.length}, character ${lines[lines.length - 1].length + 1}`;
}
