/** The controls that a provider's settings are typed into, made from what it says of them. */

import { travelsInTheOpen } from "../../shared/addresses.js";
import { make } from "../dom.js";
import { jsonTools } from "./json_tools.js";
import { reveals } from "./reveal.js";
import { problemOf, readField, textOf } from "./values.js";

/** @typedef {import("../../shared/types.js").Field} Field */

/**
 * @typedef {object} Made
 * @property {Field} field
 * @property {HTMLElement} element  the whole of it, with its label
 * @property {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} control
 * @property {() => unknown} read  what is typed, as its type wants it
 * @property {() => string} problem  a sentence; empty where all is well
 */

/**
 * @param {Field} field
 * @param {unknown} value
 * @param {string} server  the address of our server, for what a demonstration needs
 * @returns {Made}
 */
export function makeField(field, value, server) {
  const id = `setting-${field.name}`;
  const control = makeControl(field, value);
  control.id = id;
  control.setAttribute("aria-describedby", `${id}-problem ${id}-help`);
  if (field.required) control.setAttribute("aria-required", "true");
  const typed = () => typedInto(control);
  return {
    field, control,
    element: around(field, control, server),
    read: () => readField(field, typed()),
    problem: () => problemOf(field, typed()),
  };
}

const FEW = 4;
const OPEN = "This address is not encrypted: on the way, others can read prompts and keys, and see the pictures.";

/**
 * The elements of all fields. Where there are many, those that may stay as they are lie folded away.
 *
 * @param {Made[]} made
 * @returns {HTMLElement[]}
 */
export function arranged(made) {
  const needed = made.filter(({ field: { required, type } }) => required || type === "secret");
  const rest = made.filter((each) => !needed.includes(each));
  const all = [...needed, ...rest].map(({ element }) => element);
  if (made.length <= FEW || needed.length === 0) return all;
  const more = make("details", { class: "more" }, make("summary", {}, "More settings"),
    make("div", { class: "fields" }, ...rest.map(({ element }) => element)));
  return [...needed.map(({ element }) => element), more];
}

/** @param {Made["control"]} control */
function typedInto(control) {
  return control instanceof HTMLInputElement && control.type === "checkbox" ? control.checked : control.value;
}

/** @param {Field} field @param {unknown} value */
function makeControl(field, value) {
  const text = textOf(field, value);
  switch (field.type) {
    case "boolean": return make("input", { type: "checkbox", role: "switch", checked: value === true });
    case "choice": return makeChoice(field, text);
    case "json": return makeText(text);
    case "number": return makeNumber(field, text);
    default: return makeLine(field, text);
  }
}

/** As high as what is in it, within what one can overlook. @param {string} value */
function makeText(value) {
  const rows = Math.min(18, Math.max(4, value.split("\n").length));
  return make("textarea", { rows, spellcheck: false, wrap: "off", class: "mono", value });
}

/** @param {Field} field @param {string} value */
function makeNumber({ min, max }, value) {
  return make("input", { type: "number", step: "any", min: bound(min), max: bound(max), value });
}

/** @param {number | undefined} value */
function bound(value) {
  return value === undefined ? "" : String(value);
}

/** @param {Field} field @param {string} value */
function makeChoice({ choices = [], required, initial }, value) {
  const offered = required || initial !== undefined ? choices : ["", ...choices];
  const select = make("select", {}, ...offered.map((choice) => make("option", { value: choice }, choice || "–")));
  select.value = value;
  return select;
}

/** @param {Field} field @param {string} value */
function makeLine({ type }, value) {
  return make("input", {
    type: type === "secret" ? "password" : "text", inputMode: type === "url" ? "url" : "", autocomplete: "off",
    spellcheck: false, value,
  });
}

/** @param {Field} field @param {Made["control"]} control @param {string} server */
function around(field, control, server) {
  const { id } = control;
  const label = make("label", { htmlFor: id }, field.label);
  const problem = make("p", { id: `${id}-problem`, class: "problem" });
  const help = make("p", { id: `${id}-help`, class: "help" }, field.help);
  if (field.type === "boolean") {
    label.className = "switch";
    label.prepend(control);
    return make("div", { class: "field" }, label, problem, help);
  }
  return make("div", { class: "field" }, label, extended(field, control), problem, help,
    field.type === "url" && openness(control),
    field.type === "json" && control instanceof HTMLTextAreaElement && jsonTools(field, control, server));
}

/** A word of warning where what is sent to an address can be read by others. @param {Made["control"]} control */
function openness(control) {
  const note = make("p", { "class": "note", "data-tone": "warn", "role": "status" }, OPEN);
  const look = () => {
    note.hidden = !travelsInTheOpen(control.value.trim());
  };
  control.addEventListener("input", look);
  look();
  return note;
}

/** @param {Field} field @param {Made["control"]} control */
function extended(field, control) {
  if (field.type !== "secret" || !(control instanceof HTMLInputElement)) return control;
  const name = `Show ${field.label}`;
  const show = make("button", { "type": "button", "aria-pressed": "false", "aria-label": name }, "Show");
  reveals(show, control);
  return make("div", { class: "with-button" }, control, show);
}
