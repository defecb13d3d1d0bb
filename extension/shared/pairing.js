/** A pairing code: what the operator's server printed, to be pasted instead of typed in field by field. */

const PREFIX = "imagefleet:";

/**
 * The settings that a code stands for. Throws an Error with a sentence for the user where it is none.
 *
 * @param {string} text
 * @returns {{server: string, extensionId?: string, token?: string}}
 */
export function readPairing(text) {
  const { server, extensionId, token } = decode(text.replaceAll(/\s/g, ""));
  if (typeof server !== "string" || !server) throw new Error("The pairing code names no server.");
  return { server, ...given("extensionId", extensionId), ...given("token", token) };
}

/** @param {string} code */
function decode(code) {
  if (!code.startsWith(PREFIX)) throw new Error(`A pairing code begins with ${PREFIX}`);
  try {
    const base64 = code.slice(PREFIX.length).replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    return Object(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch {
    throw new Error("The pairing code is damaged: please copy it again, from its beginning to its end.");
  }
}

/** @param {string} name @param {unknown} value */
function given(name, value) {
  return typeof value === "string" && value ? { [name]: value } : {};
}
