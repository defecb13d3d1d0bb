/** How much was done today, by the clock on the wall. */

/** @typedef {import("../shared/types.js").Status["today"]} Counts */

const KEY = "tally";

/** @param {Date} now  @returns {string}  YYYY-MM-DD, local */
export function dateOf(now) {
  const [month, day] = [now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0"));
  return `${now.getFullYear()}-${month}-${day}`;
}

/**
 * The tally as it stands on that day: yesterday's counts are over.
 *
 * @param {Counts} tally
 * @param {Date} now
 * @returns {Counts}
 */
export function onDay(tally, now) {
  const date = dateOf(now);
  return tally.date === date ? tally : { date, done: 0, failed: 0 };
}

/** Counts, and keeps the counts over restarts. */
export class Tally {
  /** @type {Counts} */
  #tally = { date: "", done: 0, failed: 0 };

  async load() {
    const stored = await chrome.storage.local.get(KEY);
    this.#tally = { ...this.#tally, .../** @type {object} */ (stored[KEY]) };
  }

  get today() {
    return onDay(this.#tally, new Date());
  }

  /** @param {"done" | "failed"} what */
  async count(what) {
    const today = this.today;
    this.#tally = { ...today, [what]: today[what] + 1 };
    await chrome.storage.local.set({ [KEY]: this.#tally });
  }
}
