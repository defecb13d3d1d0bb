/** Server addresses as users type them. */

const LOOPBACK = /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * The address with a scheme and without a trailing slash. Text that is not an address is returned unchanged; validation
 * rejects it later.
 *
 * @param {string} text
 */
export function normalizeServerUrl(text) {
  const typed = text.trim();
  if (!typed) return "";
  const url = parse(typed);
  if (!url) return typed;
  url.search = url.hash = "";
  return url.href.replace(/\/+$/, "");
}

/**
 * Whether traffic to this address is unencrypted and leaves this machine.
 *
 * @param {string} address  http(s):// or ws(s)://
 */
export function isUnencrypted(address) {
  const url = parse(address);
  return url !== null && ["http:", "ws:"].includes(url.protocol) && !LOOPBACK.test(url.hostname);
}

/**
 * @param {string} typed
 * @returns {URL | null}
 */
function parse(typed) {
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(typed) ? typed : `${defaultScheme(typed)}//${typed}`;
  return URL.canParse(address) ? new URL(address) : null;
}

/** http on this machine, https everywhere else. @param {string} typed */
function defaultScheme(typed) {
  const plain = `http://${typed}`;
  return URL.canParse(plain) && LOOPBACK.test(new URL(plain).hostname) ? "http:" : "https:";
}
