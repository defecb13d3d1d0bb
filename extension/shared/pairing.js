/** Pairing codes: the server prints one, and the user pastes it instead of typing each setting. */

const PREFIX = "imagefleet:";

/**
 * The settings in a pairing code. Throws an Error whose message can be shown to the user.
 *
 * @param {string} text
 * @returns {{server: string, extensionId?: string, token?: string}}
 */
export function parsePairingCode(text) {
  const { server, extensionId, token } = decode(text.replaceAll(/\s/g, ""));
  if (typeof server !== "string" || !server) throw new Error("The pairing code contains no server address.");
  return { server, ...optional("extensionId", extensionId), ...optional("token", token) };
}

/** @param {string} code */
function decode(code) {
  if (!code.startsWith(PREFIX)) throw new Error(`A pairing code starts with ${PREFIX}`);
  try {
    const base64 = code.slice(PREFIX.length).replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    return Object(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch {
    throw new Error("The pairing code is damaged. Please copy the whole code again.");
  }
}

/** @param {string} name @param {unknown} value */
function optional(name, value) {
  return typeof value === "string" && value ? { [name]: value } : {};
}
