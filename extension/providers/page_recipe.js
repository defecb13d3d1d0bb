/**
 * Recipes describe how to make a picture with a web page. They consist of a few fixed steps and never contain code.
 *
 * {
 *   "url": "https://studio.example.com/",
 *   "ready": "#prompt",
 *   "steps": [
 *     {"fill": "#prompt", "with": "%prompt%"},
 *     {"choose": "#size", "option": "1024x1024"},
 *     {"click": "#make"},
 *     {"press": "Enter", "in": "#prompt"},
 *     {"wait": "#result", "timeoutMs": 120000},
 *     {"gone": ".spinner"},
 *     {"text": "Done", "in": "#status"}
 *   ],
 *   "progress": "progress",
 *   "picture": {"img": "#result img"},
 *   "states": {
 *     "loggedOut": {"selector": "#login"},
 *     "captcha": {"selector": "#captcha"},
 *     "refused": {"text": "against our rules"},
 *     "rateLimited": {"selector": ".error", "text": "too many", "retryAfterMs": 600000}
 *   },
 *   "hosts": ["https://pictures.example.com"]
 * }
 */

import { baseUrl, integerInRange, isObject } from "./validation.js";

/**
 * One step: exactly one action, with its arguments.
 *
 * @typedef {object} Step
 * @property {string} [fill]  selector of an input
 * @property {string} [with]  the text to fill in
 * @property {string} [choose]  selector of a list
 * @property {string} [option]  value or label of the option
 * @property {string} [click]  selector
 * @property {string} [press]  name of a key
 * @property {string} [wait]  selector of an element that must appear
 * @property {string} [gone]  selector of an element that must disappear
 * @property {string} [text]  text that must appear
 * @property {string} [in]  selector: where the key is pressed, or where the text must appear
 * @property {number} [timeoutMs]
 */
/**
 * Where the picture is: exactly one selector.
 *
 * @typedef {object} Picture
 * @property {string} [img]
 * @property {string} [canvas]
 * @property {string} [background]
 * @property {string} [link]
 * @property {number} [timeoutMs]
 */
/**
 * Matches a state of the page: a visible element, a text, or a text in an element.
 *
 * @typedef {object} StateMatcher
 * @property {string} [selector]
 * @property {string} [text]
 * @property {number} [retryAfterMs]
 */
/** @typedef {"loggedOut" | "captcha" | "refused" | "rateLimited"} StateName */
/**
 * @typedef {object} Recipe
 * @property {string} url
 * @property {string} [ready]
 * @property {Step[]} steps
 * @property {string} [progress]
 * @property {Picture} picture
 * @property {Partial<Record<StateName, StateMatcher | StateMatcher[]>>} [states]
 * @property {string[]} [hosts]
 */

export const STATES = ["loggedOut", "captcha", "refused", "rateLimited"];
const MAX_STEPS = 60;
const MAX_HOSTS = 10;
const MAX_CHARS = 2000;
const MAX_TIMEOUT_MS = 3_600_000;
const DAY_MS = 86_400_000;
const PICTURE_KINDS = ["img", "canvas", "background", "link"];

/**
 * The required and optional arguments of each action.
 *
 * @type {Record<string, {required: string[], optional: string[]}>}
 */
const ACTIONS = {
  fill: { required: ["with"], optional: [] },
  choose: { required: ["option"], optional: [] },
  click: { required: [], optional: [] },
  press: { required: [], optional: ["in"] },
  wait: { required: [], optional: [] },
  gone: { required: [], optional: [] },
  text: { required: [], optional: ["in"] },
};
/** Fields of a step that are not selectors. */
const TEXT_FIELDS = new Set(["press", "text", "with", "option"]);

/** The message names the invalid field. */
class InvalidRecipe extends Error {}

/**
 * Why a recipe is invalid, naming the field; undefined if it is valid.
 *
 * @param {unknown} recipe
 * @returns {string | undefined}
 */
export function recipeProblem(recipe) {
  try {
    checkRecipe(recipe);
    return undefined;
  } catch (problem) {
    if (problem instanceof InvalidRecipe) return problem.message;
    throw problem;
  }
}

/** @param {unknown} recipe */
function checkRecipe(recipe) {
  if (!isObject(recipe)) throw new InvalidRecipe("The recipe must be a JSON object.");
  checkNames(recipe, "", ["url", "ready", "steps", "progress", "picture", "states", "hosts"]);
  checkAddress(recipe.url, "url");
  for (const name of ["ready", "progress"]) if (recipe[name] !== undefined) checkSelector(recipe[name], name);
  requireList(recipe.steps, "steps", MAX_STEPS).forEach((step, index) => checkStep(step, `steps[${index}]`));
  checkPicture(recipe.picture);
  checkStates(recipe.states ?? {});
  requireList(recipe.hosts ?? [], "hosts", MAX_HOSTS).forEach((host, index) => checkAddress(host, `hosts[${index}]`));
}

/** @type {(step: unknown, path: string) => void} */
function checkStep(step, path) {
  if (!isObject(step)) throw new InvalidRecipe(`${path} must be an object such as {"click": "#make"}.`);
  const names = Object.keys(ACTIONS);
  const [action, ...others] = names.filter((each) => step[each] !== undefined);
  if (!action || others.length > 0) throw new InvalidRecipe(`${path} must have exactly one of ${names.join(", ")}.`);
  const { required, optional } = ACTIONS[action];
  checkNames(step, path, [action, ...required, ...optional, "timeoutMs"]);
  for (const name of [action, ...required, ...optional.filter((each) => step[each] !== undefined)]) {
    if (TEXT_FIELDS.has(name)) checkText(step[name], `${path}.${name}`);
    else checkSelector(step[name], `${path}.${name}`);
  }
  checkMs(step.timeoutMs, `${path}.timeoutMs`, MAX_TIMEOUT_MS);
}

/** @param {unknown} picture */
function checkPicture(picture) {
  if (!isObject(picture)) throw new InvalidRecipe("picture must be an object such as {\"img\": \"#result img\"}.");
  checkNames(picture, "picture", [...PICTURE_KINDS, "timeoutMs"]);
  const kinds = PICTURE_KINDS.filter((kind) => picture[kind] !== undefined);
  if (kinds.length !== 1) throw new InvalidRecipe(`picture must have exactly one of ${PICTURE_KINDS.join(", ")}.`);
  checkSelector(picture[kinds[0]], `picture.${kinds[0]}`);
  checkMs(picture.timeoutMs, "picture.timeoutMs", MAX_TIMEOUT_MS);
}

/** @param {unknown} states */
function checkStates(states) {
  if (!isObject(states)) throw new InvalidRecipe("states must be an object such as {\"captcha\": {\"text\": \"a\"}}.");
  checkNames(states, "states", STATES);
  for (const [name, matchers] of Object.entries(states)) {
    [matchers].flat().forEach((matcher, index) => {
      checkMatcher(matcher, Array.isArray(matchers) ? `states.${name}[${index}]` : `states.${name}`);
    });
  }
}

/** @type {(matcher: unknown, path: string) => void} */
function checkMatcher(matcher, path) {
  if (!isObject(matcher)) throw new InvalidRecipe(`${path} must be an object such as {"text": "Too many requests"}.`);
  checkNames(matcher, path, ["selector", "text", "retryAfterMs"]);
  if ((matcher.selector ?? matcher.text) === undefined) throw new InvalidRecipe(`${path} needs a selector or text.`);
  if (matcher.selector !== undefined) checkSelector(matcher.selector, `${path}.selector`);
  if (matcher.text !== undefined) checkText(matcher.text, `${path}.text`);
  checkMs(matcher.retryAfterMs, `${path}.retryAfterMs`, DAY_MS);
}

/**
 * Unknown names are errors, because a misspelt field would be ignored.
 *
 * @type {(part: object, path: string, names: string[]) => void}
 */
function checkNames(part, path, names) {
  const unknown = Object.keys(part).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new InvalidRecipe(`${path ? `${path}.` : ""}${unknown} is unknown. Allowed: ${names.join(", ")}.`);
}

/** @type {(value: unknown, path: string) => void} */
function checkAddress(value, path) {
  if (!baseUrl(value)) throw new InvalidRecipe(`${path} must be an address that starts with http:// or https://.`);
}

/** @type {(value: unknown, path: string) => void} */
function checkText(value, path) {
  if (typeof value !== "string" || value === "" || value.length > MAX_CHARS) {
    throw new InvalidRecipe(`${path} must be text of 1 to ${MAX_CHARS} characters.`);
  }
}

/** @type {(value: unknown, path: string) => void} */
function checkSelector(value, path) {
  checkText(value, path);
  try {
    // The syntax can only be checked in pages: the service worker has no document.
    globalThis.document?.createDocumentFragment().querySelector(String(value));
  } catch {
    throw new InvalidRecipe(`${path} is not a valid CSS selector: ${value}`);
  }
}

/** @type {(value: unknown, path: string, max: number) => void} */
function checkMs(value, path, max) {
  if (value !== undefined && integerInRange(value, 1, max) === undefined) {
    throw new InvalidRecipe(`${path} must be a whole number of ms from 1 to ${max}.`);
  }
}

/** @type {(value: unknown, path: string, max: number) => unknown[]} */
function requireList(value, path, max) {
  if (Array.isArray(value) && value.length <= max) return value;
  throw new InvalidRecipe(`${path} must be a list of at most ${max} items.`);
}
