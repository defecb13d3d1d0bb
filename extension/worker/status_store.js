/** Writes the status to session storage, where pages and the next worker read it. */

import { initialStatus, read, STATUS_KEY } from "../shared/status.js";

/** @typedef {import("../shared/types.js").Status} Status */

export class StatusStore {
  #status = initialStatus();
  #onWrite;
  #isWriting = false;
  #isDirty = false;

  /** @param {(status: Status) => void} onWrite  called with every status that is written */
  constructor(onWrite) {
    this.#onWrite = onWrite;
  }

  /** The status that a previous worker wrote, if any. */
  async load() {
    this.#status = await read();
    return this.#status;
  }

  /** @param {Partial<Status>} changes */
  update(changes) {
    const since = changes.state && changes.state !== this.#status.state ? Date.now() : this.#status.since;
    this.#status = { ...this.#status, ...changes, since };
    this.#isDirty = true;
    if (!this.#isWriting) void this.#write();
  }

  /** One write at a time; changes during a write are combined into the next. */
  async #write() {
    this.#isWriting = true;
    while (this.#isDirty) {
      this.#isDirty = false;
      const status = this.#status;
      this.#onWrite(status);
      await chrome.storage.session.set({ [STATUS_KEY]: status });
    }
    this.#isWriting = false;
  }
}
