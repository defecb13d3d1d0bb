/** What the end of a connection, or a failed attempt at one, means: what to tell the user, and when to try again. */

/**
 * @typedef {object} Ending
 * @property {"waiting" | "refused"} state
 * @property {string} why  a sentence for the user
 * @property {number} [waitMs]  at least so long; without it the usual pauses
 */

/**
 * @typedef {object} Close
 * @property {number} code
 * @property {string} reason
 * @property {{error: string, code: string} | undefined} complaint  the last `error` of the server about no request
 */

/** The server's answer may change when the operator does something, or the user: the user's change is tried at once. */
export const REFUSED_MS = 2 * 60_000;
/** Two that push each other out would finish no work. */
export const REPLACED_MS = 5 * 60_000;
/** Too much was sent. */
const FLOODING_MS = 30_000;

const REPLACED = 4000;
const NOT_AUTHENTICATED = 4001;
const FLOODING = 4003;
const POLICY = 1008;
const UNAUTHORIZED = ["ERR_UNAUTHORIZED", "ERR_FORBIDDEN"];

/** @type {Record<number, string>} */
const WORDS = {
  1001: "The server is going away, or restarts.",
  1012: "The server restarts.",
  1009: "The server found a message too large.",
  1011: "The server made a mistake.",
  4003: "The server found that too much was sent.",
  4004: "The server heard nothing for too long.",
};

/**
 * A socket closed.
 *
 * @param {Close} close
 * @param {string} extensionId
 * @returns {Ending}
 */
export function ofClose({ code, reason, complaint }, extensionId) {
  if (code === REPLACED) return replaced(extensionId);
  if (isRefusal(code, complaint)) return refused(complaint?.error || reason);
  const why = WORDS[code] ?? complaint?.error ?? wordsFor(reason);
  return { state: "waiting", why, ...(code === FLOODING ? { waitMs: FLOODING_MS } : {}) };
}

/** @param {string} reason */
function wordsFor(reason) {
  return reason ? `The server closed the connection: ${reason}.` : "The connection broke.";
}

/**
 * The server answered a question over HTTP, but not with what was asked for.
 *
 * @param {number} status
 * @param {string} words  the server's own, if there are any
 * @param {string | null} retryAfter  the header
 * @returns {Ending}
 */
export function ofAnswer(status, words, retryAfter) {
  if (status === 401 || status === 403) return refused(words);
  if (status === 404) return { state: "waiting", why: "There is no Imagefleet server at this address." };
  const seconds = Number(retryAfter);
  const why = words || `The server answered with the status ${status}.`;
  return { state: "waiting", why, ...(seconds > 0 ? { waitMs: seconds * 1000 } : {}) };
}

/** @param {string} words  @returns {Ending} */
function refused(words) {
  return { state: "refused", why: words || "The server does not let this extension in.", waitMs: REFUSED_MS };
}

/** @param {string} extensionId  @returns {Ending} */
function replaced(extensionId) {
  const why = `Another browser goes by the name ${extensionId} at the server. Give each browser a name of its own.`;
  return { state: "refused", why, waitMs: REPLACED_MS };
}

/**
 * That no introduction came in time is no refusal: this machine or the line was slow.
 *
 * @param {number} code
 * @param {Close["complaint"]} complaint
 */
function isRefusal(code, complaint) {
  if (complaint && UNAUTHORIZED.includes(complaint.code)) return true;
  return (code === NOT_AUTHENTICATED || code === POLICY) && !complaint?.code;
}
