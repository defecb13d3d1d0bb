/** The stored records, and the rules for how long they are kept. */

/** @typedef {import("../shared/types.js").Job} Job */

/**
 * A stored job.
 *
 * @typedef {object} JobRecord
 * @property {string} requestId
 * @property {Job} job
 * @property {string} home  the server and the extension ID that the job belongs to
 * @property {boolean} held  whether this extension holds the request; if not, only its pictures are kept for reuse
 * @property {number} takenAt
 * @property {number} [begun]  position of the picture that a generator was last asked for
 * @property {Outcome} [outcome]  set when generation has ended
 * @property {string} [sentOver]  id of the socket that last sent the result
 */

/** @typedef {{made: Record<string, unknown>} | {failure: Record<string, unknown>}} Outcome */

/**
 * A finished picture. `url` is set after an upload, and valid for the lease under which it was uploaded.
 *
 * @typedef {object} PictureRecord
 * @property {string} requestId
 * @property {number} position
 * @property {Blob} blob
 * @property {import("../shared/types.js").Used} [used]
 * @property {string} [url]
 * @property {string} [lease]
 */

/** Limits the disk space if a server never confirms results, which the contract allows. */
export const MAX_FINISHED = 32;
/** How long the pictures of a released request are kept. */
export const RELEASED_TTL_MS = 60 * 60_000;

/** @param {{server: string, extensionId: string}} settings */
export function homeOf({ server, extensionId }) {
  return `${server} ${extensionId}`;
}

/**
 * The records to delete: those of another home, those released too long ago, and the oldest ones beyond MAX_FINISHED.
 * Held jobs without an outcome are always kept.
 *
 * @param {JobRecord[]} records
 * @param {string} home
 * @param {number} now
 */
export function expired(records, home, now) {
  const old = records.filter((record) => {
    return record.home !== home || (!record.held && record.takenAt < now - RELEASED_TTL_MS);
  });
  const finished = records
    .filter((record) => !old.includes(record) && !(record.held && !record.outcome))
    .sort((a, b) => Number(a.held) - Number(b.held) || a.takenAt - b.takenAt);
  return [...old, ...finished.slice(0, Math.max(0, finished.length - MAX_FINISHED))];
}

/**
 * Whether the pictures of a request can be used when the server assigns it again. If they were already sent over the
 * same connection, the server has rejected them.
 *
 * @param {JobRecord} record
 * @param {Job} job
 * @param {string} socketId
 */
export function canReusePictures(record, job, socketId) {
  return contentKey(record.job) === contentKey(job) && record.sentOver !== socketId;
}

/** The addresses of input pictures differ from attempt to attempt. @param {Job} job */
function contentKey({ prompt, model, parameters, inputImages = [] }) {
  const inputs = inputImages.map(({ sha256, role, strength }) => [sha256, role, strength]);
  return JSON.stringify([prompt, model, parameters, inputs]);
}
