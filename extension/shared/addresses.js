/** Addresses of servers, as people type them. */

const LOOPBACK = /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * The address of a server in the form in which it is kept: with a scheme, and without a slash at its end. What is no
 * address stays as it is, for the check to refuse.
 *
 * @param {string} text
 */
export function tidyServer(text) {
  const typed = text.trim();
  if (!typed) return "";
  const url = parse(typed);
  if (!url) return typed;
  url.search = url.hash = "";
  return url.href.replace(/\/+$/, "");
}

/**
 * Whether what is sent there can be read on its way: it is not encrypted, and leaves this machine.
 *
 * @param {string} address  http(s):// or ws(s)://
 */
export function travelsInTheOpen(address) {
  const url = parse(address);
  return url !== null && ["http:", "ws:"].includes(url.protocol) && !LOOPBACK.test(url.hostname);
}

/**
 * @param {string} typed
 * @returns {URL | null}
 */
function parse(typed) {
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(typed) ? typed : `${schemeFor(typed)}//${typed}`;
  return URL.canParse(whole) ? new URL(whole) : null;
}

/** Without a scheme: plain on this machine, encrypted anywhere else. @param {string} typed */
function schemeFor(typed) {
  const plain = `http://${typed}`;
  return URL.canParse(plain) && LOOPBACK.test(new URL(plain).hostname) ? "http:" : "https:";
}
