/** What is kept of each request, and for how long: decided here, without touching anything. */

/** @typedef {import("../shared/types.js").Job} Job */

/**
 * A request as the ledger keeps it.
 *
 * @typedef {object} JobRecord
 * @property {string} requestId
 * @property {Job} job
 * @property {string} home  the server that it came from, and the name under which
 * @property {boolean} held  the server counts on us for it; otherwise only its pictures are kept, in case it comes back
 * @property {number} takenAt
 * @property {Outcome} [outcome]  once the work is over
 * @property {string} [sentOver]  the connection over which its result was told last
 */

/** @typedef {{made: Record<string, unknown>} | {failure: Record<string, unknown>}} Outcome */

/**
 * A finished picture. `url` is where its bytes lie at the server, for the lease under which they were sent there.
 *
 * @typedef {object} PictureRecord
 * @property {string} requestId
 * @property {number} position
 * @property {Blob} blob
 * @property {string} [url]
 * @property {string} [lease]
 */

/** A server that confirms nothing, as the bare contract allows, must not fill the disk. */
export const MOST_KEPT = 32;
/** So long a request that was lost may come back and find its pictures. */
export const LOOSE_MS = 60 * 60_000;

/** @param {{server: string, extensionId: string}} settings */
export function homeOf({ server, extensionId }) {
  return `${server} ${extensionId}`;
}

/**
 * Those to be forgotten: of another server, lost for long, or one too many; unfinished work that is held never is.
 *
 * @param {JobRecord[]} records
 * @param {string} home
 * @param {number} now
 */
export function outdated(records, home, now) {
  const gone = records.filter((record) => record.home !== home || (!record.held && record.takenAt < now - LOOSE_MS));
  const rest = records
    .filter((record) => !gone.includes(record) && !(record.held && !record.outcome))
    .sort((one, other) => Number(one.held) - Number(other.held) || one.takenAt - other.takenAt);
  return [...gone, ...rest.slice(0, Math.max(0, rest.length - MOST_KEPT))];
}

/**
 * Whether pictures that were made for a request are good for it when it comes again. Where the server has seen them,
 * and the connection is still the same, it did not want them.
 *
 * @param {JobRecord} known
 * @param {Job} job
 * @param {string} linkId
 */
export function canReuse(known, job, linkId) {
  return wanted(known.job) === wanted(job) && known.sentOver !== linkId;
}

/** @param {Job} job */
function wanted({ prompt, model, parameters }) {
  return JSON.stringify([prompt, model, parameters]);
}
