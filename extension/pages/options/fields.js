/** Form controls for a provider's settings, built from its list of fields. */

import { isUnencrypted } from "../../shared/addresses.js";
import { make } from "../dom.js";
import { jsonTools } from "./json_tools.js";
import { addRevealToggle } from "./reveal.js";
import { fieldProblem, formatValue, parseField } from "./values.js";

/** @typedef {import("../../shared/types.js").Field} Field */

/**
 * @typedef {object} FieldControl
 * @property {Field} field
 * @property {HTMLElement} element  contains the label and the control
 * @property {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} control
 * @property {() => unknown} read  the value, converted to the field's type
 * @property {() => string} problem  a message for the user; empty if the value is valid
 */

/**
 * @param {Field} field
 * @param {unknown} value
 * @param {string} server  address of the user's server, for example values
 * @returns {FieldControl}
 */
export function makeField(field, value, server) {
  const id = `setting-${field.name}`;
  const control = makeControl(field, value);
  control.id = id;
  control.setAttribute("aria-describedby", `${id}-problem ${id}-help`);
  if (field.required) control.setAttribute("aria-required", "true");
  const typed = () => controlValue(control);
  return {
    field, control,
    element: withLabel(field, control, server),
    read: () => parseField(field, typed()),
    problem: () => fieldProblem(field, typed()),
  };
}

const MAX_EXPANDED = 4;
const UNENCRYPTED_WARNING = "This address is not encrypted: others on the network can read prompts, keys and pictures.";

/**
 * The elements of all fields. If there are many, optional ones are collapsed.
 *
 * @param {FieldControl[]} controls
 * @returns {HTMLElement[]}
 */
export function fieldElements(controls) {
  const important = controls.filter(({ field: { required, type } }) => required || type === "secret");
  const others = controls.filter((each) => !important.includes(each));
  const all = [...important, ...others].map(({ element }) => element);
  if (controls.length <= MAX_EXPANDED || important.length === 0) return all;
  const more = make("details", { class: "more" }, make("summary", {}, "More settings"),
    make("div", { class: "fields" }, ...others.map(({ element }) => element)));
  return [...important.map(({ element }) => element), more];
}

/** @param {FieldControl["control"]} control */
function controlValue(control) {
  return control instanceof HTMLInputElement && control.type === "checkbox" ? control.checked : control.value;
}

/** @param {Field} field @param {unknown} value */
function makeControl(field, value) {
  const text = formatValue(field, value);
  switch (field.type) {
    case "boolean": return make("input", { type: "checkbox", role: "switch", checked: value === true });
    case "choice": return makeChoice(field, text);
    case "json": return makeTextArea(text);
    case "number": return makeNumber(field, text);
    default: return makeTextInput(field, text);
  }
}

/** Its height follows the number of lines, within limits. @param {string} value */
function makeTextArea(value) {
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
function makeTextInput({ type }, value) {
  return make("input", {
    type: type === "secret" ? "password" : "text", inputMode: type === "url" ? "url" : "", autocomplete: "off",
    spellcheck: false, value,
  });
}

/** @param {Field} field @param {FieldControl["control"]} control @param {string} server */
function withLabel(field, control, server) {
  const { id } = control;
  const label = make("label", { htmlFor: id }, field.label);
  const problem = make("p", { id: `${id}-problem`, class: "problem" });
  const help = make("p", { id: `${id}-help`, class: "help" }, field.help);
  if (field.type === "boolean") {
    label.className = "switch";
    label.prepend(control);
    return make("div", { class: "field" }, label, problem, help);
  }
  return make("div", { class: "field" }, label, withRevealButton(field, control), problem, help,
    field.type === "url" && unencryptedNote(control),
    field.type === "json" && control instanceof HTMLTextAreaElement && jsonTools(field, control, server));
}

/** A warning for unencrypted addresses. @param {FieldControl["control"]} control */
function unencryptedNote(control) {
  const note = make("p", { "class": "note", "data-tone": "warn", "role": "status" }, UNENCRYPTED_WARNING);
  const update = () => {
    note.hidden = !isUnencrypted(control.value.trim());
  };
  control.addEventListener("input", update);
  update();
  return note;
}

/** @param {Field} field @param {FieldControl["control"]} control */
function withRevealButton(field, control) {
  if (field.type !== "secret" || !(control instanceof HTMLInputElement)) return control;
  const name = `Show ${field.label}`;
  const show = make("button", { "type": "button", "aria-pressed": "false", "aria-label": name }, "Show");
  addRevealToggle(show, control);
  return make("div", { class: "with-button" }, control, show);
}
