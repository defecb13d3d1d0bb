/** One provider in the list. */

import { drawing, make } from "../dom.js";
import { modelWords } from "./models.js";

/** @typedef {import("../../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {"switch" | "check" | "edit" | "up" | "down" | "remove" | "allow"} Action */
/** @typedef {{text: string, tone: string}} Said */

/** @typedef {(action: Action, entry: ProviderEntry) => void} Act */

/**
 * @typedef {object} Row
 * @property {ProviderEntry} entry
 * @property {string} kind  its title
 * @property {boolean} first
 * @property {boolean} last
 * @property {string} missing  the sentence on what the browser must still be asked for; empty where all is there
 * @property {string} idle  why it is never used, if so
 * @property {Said} [said]  what the last check of it said
 */

const UP = "M12 19V5M5 12l7-7 7 7";
const DOWN = "M12 5v14M19 12l-7 7-7-7";
const BIN = "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5";

/** @param {Row} row @param {Act} act */
export function providerRow(row, act) {
  const { entry, missing, idle, said } = row;
  return make("li", { "class": "entry", "data-entry": entry.id },
    make("div", { class: "entry-head" }, toggle(row, act), actions(row, act)),
    make("ul", { class: "chips", "aria-label": `Models of ${entry.name}` },
      ...entry.models.map((model) => make("li", {}, modelWords(model)))),
    missing && make("div", { "class": "note", "data-tone": "warn" },
      make("span", {}, missing), button("allow", "Allow", entry, act)),
    idle && make("p", { class: "note" }, idle),
    make("p", { "class": "said", "role": "status", "data-tone": said?.tone }, said?.text),
  );
}

/** @param {Row} row @param {Act} act */
function toggle({ entry, kind }, act) {
  const input = make("input", {
    "type": "checkbox", "role": "switch", "checked": entry.enabled, "data-act": "switch",
    "aria-label": `Use ${entry.name}`,
  });
  input.addEventListener("change", () => act("switch", entry));
  const more = kind !== entry.name && make("span", { class: "entry-kind" }, kind);
  return make("label", { class: "switch" }, input, make("span", {}, entry.name, more));
}

/** @param {Row} row @param {Act} act */
function actions({ entry, first, last }, act) {
  const up = icon("up", `Move ${entry.name} up`, UP, entry, act);
  const down = icon("down", `Move ${entry.name} down`, DOWN, entry, act);
  up.disabled = first;
  down.disabled = last;
  return make("div", { class: "entry-actions" },
    button("check", "Check", entry, act), button("edit", "Edit", entry, act),
    up, down, icon("remove", `Remove ${entry.name}`, BIN, entry, act));
}

/** @param {Action} action @param {string} words @param {ProviderEntry} entry @param {Act} act */
function button(action, words, entry, act) {
  const made = make("button", { "type": "button", "data-act": action, "aria-label": `${words} ${entry.name}` }, words);
  made.addEventListener("click", () => act(action, entry));
  return made;
}

/** @param {Action} action @param {string} words @param {string} path @param {ProviderEntry} entry @param {Act} act */
function icon(action, words, path, entry, act) {
  const made = make("button", {
    "type": "button", "class": "icon-button", "data-act": action, "aria-label": words, "title": words,
  }, drawing(path));
  made.addEventListener("click", () => act(action, entry));
  return made;
}
