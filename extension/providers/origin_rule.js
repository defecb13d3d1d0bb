/**
 * A session rule that removes the Origin header from this extension's requests to one host. ComfyUI rejects requests
 * from other origins to protect itself from web pages; requests of web pages keep their header. Rules do not apply to
 * WebSocket handshakes, so with this rule the status is polled.
 */

const RESOURCES = /** @type {const} */ (["xmlhttprequest", "other"]);
const MAX_ID = 2 ** 30;

/**
 * Add or remove the rule. Does nothing without the permission.
 *
 * @param {string} base  http(s)://host[:port]
 * @param {boolean} isEnabled
 */
export async function setOriginRule(base, isEnabled) {
  const rules = globalThis.chrome?.declarativeNetRequest;
  if (!rules) return;
  const { host } = new URL(base);
  const id = ruleId(host);
  const rule = {
    id,
    action: {
      type: /** @type {const} */ ("modifyHeaders"),
      requestHeaders: [{ header: "origin", operation: /** @type {const} */ ("remove") }],
    },
    condition: { initiatorDomains: [chrome.runtime.id], urlFilter: `||${host}/`, resourceTypes: [...RESOURCES] },
  };
  await rules.updateSessionRules({ removeRuleIds: [id], addRules: isEnabled ? [rule] : [] });
}

/** Always the same for a host, so that adding the rule twice replaces it. @type {(host: string) => number} */
function ruleId(host) {
  let hash = 7;
  for (const char of host) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) % MAX_ID;
  return hash + 1;
}
