/** Files from and to the user's disk. */

import { make } from "../dom.js";

const MOST_BYTES = 1_000_000;

/** Offer a text as a file. @param {string} name @param {string} text */
export function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  make("a", { href: address, download: name }).click();
  URL.revokeObjectURL(address);
}

/** The text of a file that the user picks; null where none is picked. @returns {Promise<string | null>} */
export function pickFile() {
  const input = make("input", { type: "file", accept: "application/json,.json" });
  return new Promise((resolve, reject) => {
    input.addEventListener("cancel", () => resolve(null));
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      if (!file) resolve(null);
      else if (file.size > MOST_BYTES) reject(new Error("This file is too large to hold settings."));
      else file.text().then(resolve, reject);
    });
    input.click();
  });
}
