/** What the extension is doing, written where pages and a later worker find it. */

import { nothingYet, read, STATUS_KEY } from "../shared/status.js";

/** @typedef {import("../shared/types.js").Status} Status */

export class Board {
  #status = nothingYet();
  #shown;
  #writing = false;
  #isStale = false;

  /** @param {(status: Status) => void} shown  hears of what was written */
  constructor(shown) {
    this.#shown = shown;
  }

  /** What a worker before this one wrote; a browser that has just started has none. */
  async load() {
    this.#status = await read();
    return this.#status;
  }

  /** @param {Partial<Status>} changes */
  set(changes) {
    const since = changes.state && changes.state !== this.#status.state ? Date.now() : this.#status.since;
    this.#status = { ...this.#status, ...changes, since };
    this.#isStale = true;
    if (!this.#writing) void this.#write();
  }

  /** One write at a time; what changes meanwhile goes into the next. */
  async #write() {
    this.#writing = true;
    while (this.#isStale) {
      this.#isStale = false;
      const status = this.#status;
      this.#shown(status);
      await chrome.storage.session.set({ [STATUS_KEY]: status });
    }
    this.#writing = false;
  }
}
