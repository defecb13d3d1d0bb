/** Pauses of providers after failures. They are kept in session storage, and so survive restarts of the worker. */

/** @typedef {import("../shared/failures.js").Failure} Failure */
/** @typedef {import("../shared/types.js").ProviderEntry} ProviderEntry */

/**
 * @typedef {object} Pause
 * @property {number} until
 * @property {string} reason
 * @property {number} failures  in a row
 * @property {string} configuration  what the entry was configured as when it failed
 */

const KEY = "pauses";
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 10 * 60_000;

export class ProviderPauses {
  /** @type {Record<string, Pause>}  by entry id */
  #pauses = {};

  async load() {
    const stored = await chrome.storage.session.get(KEY);
    this.#pauses = /** @type {Record<string, Pause>} */ (stored[KEY] ?? {});
  }

  /**
   * The pause of an entry; undefined if it may work. A change of its settings or models ends the pause.
   *
   * @param {ProviderEntry} entry
   * @param {number} now
   * @returns {Pause | undefined}
   */
  of(entry, now) {
    const pause = this.#pauses[entry.id];
    return pause && pause.until > now && pause.configuration === configurationOf(entry) ? pause : undefined;
  }

  /**
   * Pause the entry for as long as the failure says, or longer after each failure in a row. What a retry cannot mend is
   * the request's own fault.
   *
   * @param {ProviderEntry} entry
   * @param {Failure} failure
   * @param {number} now
   */
  failed(entry, { error, reason, retryable, retryAfterMs }, now) {
    if (!retryable) return;
    const configuration = configurationOf(entry);
    const earlier = this.#pauses[entry.id];
    const failures = earlier?.configuration === configuration ? earlier.failures + 1 : 1;
    const pauseMs = retryAfterMs ?? Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));
    this.#pauses[entry.id] = { until: now + pauseMs, reason: reason ?? error, failures, configuration };
    this.#save();
  }

  /** It made a picture, or what it lacked was given. @param {string} entryId */
  end(entryId) {
    if (!this.#pauses[entryId]) return;
    delete this.#pauses[entryId];
    this.#save();
  }

  #save() {
    void chrome.storage.session.set({ [KEY]: this.#pauses });
  }
}

/** @param {ProviderEntry} entry */
function configurationOf({ kind, models, settings }) {
  return JSON.stringify([kind, models, settings]);
}
