/** One row of the list of providers. */

import { icon, make } from "../dom.js";
import { modelLabel } from "./models.js";

/** @typedef {import("../../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {"switch" | "check" | "edit" | "up" | "down" | "remove" | "allow"} Action */
/** @typedef {{text: string, tone: string}} CheckResult */

/** @typedef {(action: Action, entry: ProviderEntry) => void} OnAction */

/**
 * @typedef {object} Row
 * @property {ProviderEntry} entry
 * @property {string} kind  the title of its kind
 * @property {boolean} first
 * @property {boolean} last
 * @property {string} missing  message about missing permissions; empty if there are none
 * @property {string} idle  why it gets no jobs; empty if it does
 * @property {string} abilities  what else it makes than pictures from prompts; empty if nothing
 * @property {CheckResult} [checkResult]  the result of the latest check
 */

const UP = "M12 19V5M5 12l7-7 7 7";
const DOWN = "M12 5v14M19 12l-7 7-7-7";
const TRASH = "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5";

/** @param {Row} row @param {OnAction} onAction */
export function providerRow(row, onAction) {
  const { entry, missing, idle, abilities, checkResult } = row;
  return make("li", { "class": "entry", "data-entry": entry.id },
    make("div", { class: "entry-head" }, toggle(row, onAction), actions(row, onAction)),
    make("ul", { class: "chips", "aria-label": `Models of ${entry.name}` },
      ...entry.models.map((model) => make("li", {}, modelLabel(model)))),
    abilities && make("p", { class: "help" }, abilities),
    missing && make("div", { "class": "note", "data-tone": "warn" },
      make("span", {}, missing), button("allow", "Allow", entry, onAction)),
    idle && make("p", { class: "note" }, idle),
    make("p", { "class": "message", "role": "status", "data-tone": checkResult?.tone }, checkResult?.text),
  );
}

/** @param {Row} row @param {OnAction} onAction */
function toggle({ entry, kind }, onAction) {
  const input = make("input", {
    "type": "checkbox", "role": "switch", "checked": entry.enabled, "data-act": "switch",
    "aria-label": `Use ${entry.name}`,
  });
  input.addEventListener("change", () => onAction("switch", entry));
  const more = kind !== entry.name && make("span", { class: "entry-kind" }, kind);
  return make("label", { class: "switch" }, input, make("span", {}, entry.name, more));
}

/** @param {Row} row @param {OnAction} onAction */
function actions({ entry, first, last }, onAction) {
  const up = iconButton("up", `Move ${entry.name} up`, UP, entry, onAction);
  const down = iconButton("down", `Move ${entry.name} down`, DOWN, entry, onAction);
  up.disabled = first;
  down.disabled = last;
  return make("div", { class: "entry-actions" },
    button("check", "Check", entry, onAction), button("edit", "Edit", entry, onAction),
    up, down, iconButton("remove", `Remove ${entry.name}`, TRASH, entry, onAction));
}

/** @param {Action} action @param {string} label @param {ProviderEntry} entry @param {OnAction} onAction */
function button(action, label, entry, onAction) {
  const name = `${label} ${entry.name}`;
  const control = make("button", { "type": "button", "data-act": action, "aria-label": name }, label);
  control.addEventListener("click", () => onAction(action, entry));
  return control;
}

/**
 * @param {Action} action
 * @param {string} label
 * @param {string} path
 * @param {ProviderEntry} entry
 * @param {OnAction} onAction
 */
function iconButton(action, label, path, entry, onAction) {
  const control = make("button", {
    "type": "button", "class": "icon-button", "data-act": action, "aria-label": label, "title": label,
  }, icon(path));
  control.addEventListener("click", () => onAction(action, entry));
  return control;
}
