/** Converts a provider's settings to and from the text of form controls. No DOM. */

/** @typedef {import("../../shared/types.js").Field} Field */

/**
 * The text for a value.
 *
 * @param {Field} field
 * @param {unknown} value
 */
export function formatValue(field, value) {
  if (value === undefined || value === null) return "";
  if (field.type === "json" && typeof value !== "string") return JSON.stringify(value, null, 2);
  return String(value);
}

/**
 * The input converted to the field's type; undefined if it is empty.
 *
 * @param {Field} field
 * @param {string | boolean} input
 * @returns {unknown}
 */
export function parseField(field, input) {
  if (typeof input === "boolean") return input;
  const text = input.trim();
  if (!text) return undefined;
  if (field.type === "number") return Number(text);
  return field.type === "json" ? parseJson(text).value : text;
}

/**
 * Why the input is invalid; empty if it is valid.
 *
 * @param {Field} field
 * @param {string | boolean} input
 */
export function fieldProblem(field, input) {
  if (typeof input === "boolean") return "";
  const text = input.trim();
  if (!text) return field.required ? "This field is required." : "";
  if (field.type === "number") return numberProblem(field, Number(text));
  if (field.type === "url") return addressProblem(text);
  return field.type === "json" ? parseJson(text).problem : "";
}

/** @param {Field} field @param {number} value */
function numberProblem({ min = -Infinity, max = Infinity }, value) {
  if (!Number.isFinite(value)) return "This must be a number.";
  if (value >= min && value <= max) return "";
  if (max === Infinity) return `This must be at least ${min}.`;
  return min === -Infinity ? `This must be at most ${max}.` : `This must be between ${min} and ${max}.`;
}

/** @param {string} text */
function addressProblem(text) {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url && ["http:", "https:"].includes(url.protocol) ? "" : "The address must start with http:// or https://";
}

/** @param {string} text @returns {{value?: unknown, problem: string}} */
function parseJson(text) {
  try {
    return { value: JSON.parse(text), problem: "" };
  } catch (error) {
    return { problem: `This is not valid JSON${errorPosition(text, String(error))}.` };
  }
}

/** The position of a syntax error, as line and column. @param {string} text @param {string} error */
function errorPosition(text, error) {
  const position = / at position (\d+)/.exec(error)?.[1];
  if (position === undefined) return ": the end is missing, or there is extra text";
  const lines = text.slice(0, Number(position)).split("\n");
  return `: see line ${lines.length}, character ${lines[lines.length - 1].length + 1}`;
}
