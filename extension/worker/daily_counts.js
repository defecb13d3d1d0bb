/** Counts today's finished jobs and keeps the counts across restarts. */

import { countsToday } from "../shared/days.js";

/** @typedef {import("../shared/types.js").Status["today"]} Counts */

const KEY = "tally";

export class DailyCounts {
  /** @type {Counts} */
  #counts = { date: "", done: 0, failed: 0 };

  async load() {
    const stored = await chrome.storage.local.get(KEY);
    this.#counts = { ...this.#counts, .../** @type {object} */ (stored[KEY]) };
  }

  get today() {
    return countsToday(this.#counts, new Date());
  }

  /** @param {"done" | "failed"} outcome */
  async increment(outcome) {
    const { today } = this;
    this.#counts = { ...today, [outcome]: today[outcome] + 1 };
    await chrome.storage.local.set({ [KEY]: this.#counts });
  }
}
