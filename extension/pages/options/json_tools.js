/** What one can do with a text of JSON: take it from a file, put it into one, or try a ready one. */

import { make } from "../dom.js";
import { download, pickFile } from "./files.js";

/** @typedef {import("../../shared/types.js").Field} Field */

/** @param {Field} field @param {HTMLTextAreaElement} area @param {string} server */
export function jsonTools(field, area, server) {
  const put = (/** @type {string} */ text) => {
    area.value = text;
    area.rows = Math.min(18, Math.max(area.rows, text.split("\n").length));
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const { demonstration } = field;
  return make("div", { class: "field-actions" },
    tool("Import from a file…", async () => {
      const text = await pickFile();
      if (text !== null) put(pretty(text));
    }),
    tool("Export to a file", () => download(`${field.name}.json`, area.value)),
    demonstration && tool("Load the demonstration", () => put(JSON.stringify(demonstration(server), null, 2))));
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // the field says what is wrong with it
  }
}

/** @param {string} words @param {() => unknown} use */
function tool(words, use) {
  const button = make("button", { type: "button" }, words);
  button.addEventListener("click", use);
  return button;
}
