/** Reads and saves files on the user's computer. */

import { make } from "../dom.js";

const MAX_BYTES = 1_000_000;

/** Download a text as a file. @param {string} name @param {string} text */
export function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  make("a", { href: address, download: name }).click();
  URL.revokeObjectURL(address);
}

/** The text of a file that the user chooses; null if the user cancels. @returns {Promise<string | null>} */
export function pickFile() {
  const input = make("input", { type: "file", accept: "application/json,.json" });
  return new Promise((resolve, reject) => {
    input.addEventListener("cancel", () => resolve(null));
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      if (!file) resolve(null);
      else if (file.size > MAX_BYTES) reject(new Error("This file is too large."));
      else file.text().then(resolve, reject);
    });
    input.click();
  });
}
