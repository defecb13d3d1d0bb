/** Translates closed sockets and failed attempts into a message for the user and a time for the next attempt. */

import { retryAfterMs } from "../shared/retry_after.js";

/**
 * @typedef {object} Disconnection
 * @property {"waiting" | "refused"} state
 * @property {string} why  a sentence for the user
 * @property {number} [waitMs]  minimum time before the next attempt; by default only the backoff applies
 */

/**
 * @typedef {object} SocketClose
 * @property {number} code
 * @property {string} reason
 * @property {{error: string, code: string} | undefined} error  the server's latest `error` message without a requestId
 */

/** Only the operator or the user can change a refusal. A change by the user reconnects at once. */
export const REFUSED_MS = 2 * 60_000;
/** Two browsers that keep replacing each other would never finish a job. */
export const REPLACED_MS = 5 * 60_000;
const FLOODING_MS = 30_000;

const REPLACED = 4000;
const NOT_AUTHENTICATED = 4001;
const FLOODING = 4003;
const POLICY = 1008;
const UNAUTHORIZED = ["ERR_UNAUTHORIZED", "ERR_FORBIDDEN"];

/** @type {Record<number, string>} */
const CLOSE_REASONS = {
  1001: "The server is shutting down or restarting.",
  1012: "The server is restarting.",
  1009: "The server received a message that is too large.",
  1011: "The server had an internal error.",
  4003: "The server received too many messages.",
  4004: "The server received no heartbeat for too long.",
};

/**
 * @param {SocketClose} close
 * @param {string} extensionId
 * @returns {Disconnection}
 */
export function fromClose({ code, reason, error }, extensionId) {
  if (code === REPLACED) return replaced(extensionId);
  if (isRefusal(code, error)) return refused(error?.error || reason);
  const why = CLOSE_REASONS[code] ?? error?.error ?? describe(reason);
  return { state: "waiting", why, ...(code === FLOODING ? { waitMs: FLOODING_MS } : {}) };
}

/** @param {string} reason */
function describe(reason) {
  return reason ? `The server closed the connection: ${reason}.` : "The connection was lost.";
}

/**
 * An HTTP response that is not a success.
 *
 * @param {number} status
 * @param {string} message  from the response; may be empty
 * @param {string | null} retryAfter  the header
 * @returns {Disconnection}
 */
export function fromHttpStatus(status, message, retryAfter) {
  if (status === 401 || status === 403) return refused(message);
  if (status === 404) return { state: "waiting", why: "There is no Imagefleet server at this address." };
  const waitMs = retryAfterMs(retryAfter);
  const why = message || `The server responded with status ${status}.`;
  return { state: "waiting", why, ...(waitMs ? { waitMs } : {}) };
}

/** @param {string} message  @returns {Disconnection} */
function refused(message) {
  return { state: "refused", why: message || "The server rejected this extension.", waitMs: REFUSED_MS };
}

/** @param {string} extensionId  @returns {Disconnection} */
function replaced(extensionId) {
  const why = `Another browser uses the name ${extensionId} on this server. Give each browser its own name.`;
  return { state: "refused", why, waitMs: REPLACED_MS };
}

/**
 * A late authentication is not a refusal: this machine or the network was slow.
 *
 * @param {number} code
 * @param {SocketClose["error"]} error
 */
function isRefusal(code, error) {
  if (error && UNAUTHORIZED.includes(error.code)) return true;
  return (code === NOT_AUTHENTICATED || code === POLICY) && !error?.code;
}
