/** Buttons below a JSON field: import, export, and load an example. */

import { make } from "../dom.js";
import { download, pickFile } from "./files.js";

/** @typedef {import("../../shared/types.js").Field} Field */

/** @param {Field} field @param {HTMLTextAreaElement} area @param {string} server */
export function jsonTools(field, area, server) {
  const setText = (/** @type {string} */ text) => {
    area.value = text;
    area.rows = Math.min(18, Math.max(area.rows, text.split("\n").length));
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const { demonstration } = field;
  return make("div", { class: "field-actions" },
    toolButton("Import from a file…", async () => {
      const text = await pickFile();
      if (text !== null) setText(format(text));
    }),
    toolButton("Export to a file", () => download(`${field.name}.json`, area.value)),
    demonstration && toolButton("Load the example", () => setText(JSON.stringify(demonstration(server), null, 2))));
}

/** @param {string} text */
function format(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // the field shows the syntax error
  }
}

/** @param {string} label @param {() => unknown} onClick */
function toolButton(label, onClick) {
  const button = make("button", { type: "button" }, label);
  button.addEventListener("click", onClick);
  return button;
}
