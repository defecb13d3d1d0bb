/**
 * Recipes: how a page is asked for a picture, as its user wrote it down. A small, fixed set of words, never code.
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

import { baseUrl, isObject, whole } from "./fields.js";

/**
 * One step: one of the words that say what is done, with what belongs to it.
 *
 * @typedef {object} Step
 * @property {string} [fill]  selector
 * @property {string} [with]  what is written there
 * @property {string} [choose]  selector of a list
 * @property {string} [option]  its value, or what it is called
 * @property {string} [click]  selector
 * @property {string} [press]  name of a key
 * @property {string} [wait]  selector of what has to appear
 * @property {string} [gone]  selector of what has to disappear
 * @property {string} [text]  that has to appear
 * @property {string} [in]  selector: where a key is pressed, or a text appears
 * @property {number} [timeoutMs]
 */
/**
 * Where the picture is, by one selector.
 *
 * @typedef {object} Picture
 * @property {string} [img]
 * @property {string} [canvas]
 * @property {string} [background]
 * @property {string} [link]
 * @property {number} [timeoutMs]
 */
/**
 * What shows a state: an element that is seen, or a text, or a text in an element.
 *
 * @typedef {object} Sign
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
 * @property {Partial<Record<StateName, Sign | Sign[]>>} [states]
 * @property {string[]} [hosts]
 */

export const STATES = ["loggedOut", "captcha", "refused", "rateLimited"];
const MOST_STEPS = 60;
const MOST_HOSTS = 10;
const MOST_CHARS = 2000;
const MOST_MS = 3_600_000;
const DAY_MS = 86_400_000;
const PICTURES = ["img", "canvas", "background", "link"];

/**
 * What each word of a step needs beside it, and what it may have.
 *
 * @type {Record<string, {needs: string[], may: string[]}>}
 */
const WORDS = {
  fill: { needs: ["with"], may: [] },
  choose: { needs: ["option"], may: [] },
  click: { needs: [], may: [] },
  press: { needs: [], may: ["in"] },
  wait: { needs: [], may: [] },
  gone: { needs: [], may: [] },
  text: { needs: [], may: ["in"] },
};
/** Those that hold no selector. */
const NO_SELECTORS = new Set(["press", "text", "with", "option"]);

/** A recipe that cannot be used; the message is a sentence that names the field. */
class Wrong extends Error {}

/**
 * What is wrong with a recipe: a sentence that names the field, or nothing.
 *
 * @param {unknown} recipe
 * @returns {string | undefined}
 */
export function recipeProblem(recipe) {
  try {
    look(recipe);
    return undefined;
  } catch (problem) {
    if (problem instanceof Wrong) return problem.message;
    throw problem;
  }
}

/** @param {unknown} recipe */
function look(recipe) {
  if (!isObject(recipe)) throw new Wrong("The recipe must be a JSON object.");
  known(recipe, "", ["url", "ready", "steps", "progress", "picture", "states", "hosts"]);
  if (!baseUrl(recipe.url)) throw new Wrong("url must be an address that begins with http:// or https://.");
  for (const name of ["ready", "progress"]) if (recipe[name] !== undefined) selector(recipe[name], name);
  list(recipe.steps, "steps", MOST_STEPS).forEach((step, index) => lookAtStep(step, `steps[${index}]`));
  lookAtPicture(recipe.picture);
  lookAtStates(recipe.states ?? {});
  list(recipe.hosts ?? [], "hosts", MOST_HOSTS).forEach((host, index) => {
    if (!baseUrl(host)) throw new Wrong(`hosts[${index}] must be an address that begins with http:// or https://.`);
  });
}

/** @type {(step: unknown, where: string) => void} */
function lookAtStep(step, where) {
  if (!isObject(step)) throw new Wrong(`${where} must be an object, as in {"click": "#make"}.`);
  const [word, ...more] = Object.keys(WORDS).filter((each) => step[each] !== undefined);
  if (!word || more.length > 0) throw new Wrong(`${where} must have just one of ${Object.keys(WORDS).join(", ")}.`);
  const { needs, may } = WORDS[word];
  known(step, where, [word, ...needs, ...may, "timeoutMs"]);
  for (const name of [word, ...needs, ...may.filter((each) => step[each] !== undefined)]) {
    if (NO_SELECTORS.has(name)) text(step[name], `${where}.${name}`);
    else selector(step[name], `${where}.${name}`);
  }
  time(step.timeoutMs, `${where}.timeoutMs`, MOST_MS);
}

/** @param {unknown} picture */
function lookAtPicture(picture) {
  if (!isObject(picture)) throw new Wrong("picture must be an object, as in {\"img\": \"#result img\"}.");
  known(picture, "picture", [...PICTURES, "timeoutMs"]);
  const kinds = PICTURES.filter((kind) => picture[kind] !== undefined);
  if (kinds.length !== 1) throw new Wrong(`picture must have just one of ${PICTURES.join(", ")}.`);
  selector(picture[kinds[0]], `picture.${kinds[0]}`);
  time(picture.timeoutMs, "picture.timeoutMs", MOST_MS);
}

/** @param {unknown} states */
function lookAtStates(states) {
  if (!isObject(states)) throw new Wrong("states must be an object, as in {\"captcha\": {\"text\": \"a human\"}}.");
  known(states, "states", STATES);
  for (const [name, signs] of Object.entries(states)) {
    [signs].flat().forEach((sign, index) => {
      lookAtSign(sign, Array.isArray(signs) ? `states.${name}[${index}]` : `states.${name}`);
    });
  }
}

/** @type {(sign: unknown, where: string) => void} */
function lookAtSign(sign, where) {
  if (!isObject(sign)) throw new Wrong(`${where} must be an object, as in {"text": "Too many requests"}.`);
  known(sign, where, ["selector", "text", "retryAfterMs"]);
  if ((sign.selector ?? sign.text) === undefined) throw new Wrong(`${where} must have a selector or a text.`);
  if (sign.selector !== undefined) selector(sign.selector, `${where}.selector`);
  if (sign.text !== undefined) text(sign.text, `${where}.text`);
  time(sign.retryAfterMs, `${where}.retryAfterMs`, DAY_MS);
}

/**
 * A misspelt field would be a step that is never taken.
 *
 * @type {(part: object, where: string, names: string[]) => void}
 */
function known(part, where, names) {
  const other = Object.keys(part).find((name) => !names.includes(name));
  if (other !== undefined) {
    throw new Wrong(`${where ? `${where}.` : ""}${other} means nothing: there may be ${names.join(", ")}.`);
  }
}

/** @type {(value: unknown, where: string) => void} */
function text(value, where) {
  if (typeof value !== "string" || value === "" || value.length > MOST_CHARS) {
    throw new Wrong(`${where} must be a text of 1 to ${MOST_CHARS} characters.`);
  }
}

/** @type {(value: unknown, where: string) => void} */
function selector(value, where) {
  text(value, where);
  try {
    // Only pages can tell; the worker has no document.
    globalThis.document?.createDocumentFragment().querySelector(String(value));
  } catch {
    throw new Wrong(`${where} is no selector that the browser understands: ${value}`);
  }
}

/** @type {(value: unknown, where: string, most: number) => void} */
function time(value, where, most) {
  if (value !== undefined && whole(value, 1, most) === undefined) {
    throw new Wrong(`${where} must be a whole number of ms from 1 to ${most}.`);
  }
}

/** @type {(value: unknown, where: string, most: number) => unknown[]} */
function list(value, where, most) {
  if (!Array.isArray(value) || value.length > most) throw new Wrong(`${where} must be a list of at most ${most}.`);
  return value;
}
