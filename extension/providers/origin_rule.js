/**
 * A rule of this browser session that takes the Origin header from what this extension sends to one address. ComfyUI
 * turns requests away whose Origin is not its own; it is there against foreign web pages, which this rule leaves alone.
 * No rule reaches the handshake of a socket: it goes unheard, and ComfyUI is asked now and then instead.
 */

const RESOURCES = /** @type {const} */ (["xmlhttprequest", "other"]);
const KINDS = 2 ** 30;

/**
 * Set the rule up, or take it back. Does nothing where the browser has not been allowed to.
 *
 * @param {string} base  http(s)://host[:port]
 * @param {boolean} wanted
 */
export async function setOriginRule(base, wanted) {
  const rules = globalThis.chrome?.declarativeNetRequest;
  if (!rules) return;
  const { host } = new URL(base);
  const id = numberOf(host);
  const rule = {
    id,
    action: {
      type: /** @type {const} */ ("modifyHeaders"),
      requestHeaders: [{ header: "origin", operation: /** @type {const} */ ("remove") }],
    },
    condition: { initiatorDomains: [chrome.runtime.id], urlFilter: `||${host}/`, resourceTypes: [...RESOURCES] },
  };
  await rules.updateSessionRules({ removeRuleIds: [id], addRules: wanted ? [rule] : [] });
}

/** The same for the same host, so that setting it up twice makes one. @type {(host: string) => number} */
function numberOf(host) {
  let number = 7;
  for (const char of host) number = (number * 31 + (char.codePointAt(0) ?? 0)) % KINDS;
  return number + 1;
}
