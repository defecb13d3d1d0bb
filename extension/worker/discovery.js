/** Finds the address of the server's WebSocket by querying the server. */

import { fromHttpStatus } from "./disconnections.js";

/** @typedef {import("../shared/types.js").Settings} Settings */
/** @typedef {import("./disconnections.js").Disconnection} Disconnection */

const TIMEOUT_MS = 15_000;

/** The socket's address is not available; `disconnection` has the reason and when to retry. */
export class DiscoveryError extends Error {
  /** @param {Disconnection} disconnection */
  constructor(disconnection) {
    super(disconnection.why);
    this.disconnection = disconnection;
  }
}

/**
 * The address of the socket. Rejects with DiscoveryError.
 *
 * @param {Settings} settings
 * @param {AbortSignal} signal
 * @returns {Promise<string>}
 */
export async function discoverSocketUrl({ server, token }, signal) {
  /** @type {Record<string, string>} */
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  try {
    const response = await fetch(`${server}/api/websocket/info`, {
      headers,
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      cache: "no-store",
      credentials: "omit",
    });
    return upgradeToTls(server, await socketUrlFrom(response));
  } catch (problem) {
    if (problem instanceof DiscoveryError) throw problem;
    throw new DiscoveryError({ state: "waiting", why: `The server at ${server} cannot be reached.` });
  }
}

/** @param {Response} response */
async function socketUrlFrom(response) {
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    const retryAfter = response.headers.get("Retry-After");
    throw new DiscoveryError(fromHttpStatus(response.status, errorMessage(body), retryAfter));
  }
  if (/^wss?:\/\//i.test(body?.url) && URL.canParse(body.url)) return body.url;
  throw new DiscoveryError({ state: "waiting", why: "The server at this address is not an Imagefleet server." });
}

/**
 * A server behind a proxy may not know that clients reach it over TLS. The token must not be sent unencrypted then.
 *
 * @param {string} server
 * @param {string} url
 */
function upgradeToTls(server, url) {
  return server.startsWith("https:") ? url.replace(/^ws:/i, "wss:") : url;
}

/** @param {any} body */
function errorMessage(body) {
  return [body?.message, body?.error].find((text) => typeof text === "string") ?? "";
}
