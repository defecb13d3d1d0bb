/** Names that are made up at random. */

/** What the server is to know this browser by. */
export function newExtensionId() {
  return `chrome-${hex(6)}`;
}

/** @param {number} bytes */
function hex(bytes) {
  return [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
