/** A stored job together with its state in this worker. */

/** @typedef {import("../shared/types.js").JobSummary} JobSummary */
/** @typedef {import("./records.js").JobRecord} JobRecord */

const MAX_PROMPT_CHARS = 120;
const MAX_MESSAGE_CHARS = 200;
const REPORT_INTERVAL_MS = 500;

export class Task {
  percent = 0;
  message = "";
  /** Whether the server has confirmed, since this worker started, that this extension holds the request. */
  ready;
  running = false;
  delivering = false;
  startedAt = Date.now();
  #abort = new AbortController();
  #reportedAt = 0;

  /** @param {JobRecord} record @param {{ready: boolean}} options */
  constructor(record, { ready }) {
    this.record = record;
    this.ready = ready;
  }

  get requestId() {
    return this.record.requestId;
  }

  get signal() {
    return this.#abort.signal;
  }

  /** Whether it can be started. */
  get isWaiting() {
    return this.ready && this.record.held && !this.record.outcome && !this.running && !this.signal.aborted;
  }

  stop() {
    this.#abort.abort();
  }

  /**
   * Record the progress, which never decreases. Returns whether it should be reported now; reports are rate-limited.
   *
   * @param {number} percent
   * @param {string} message
   */
  updateProgress(percent, message) {
    this.percent = Math.max(this.percent, Math.min(99, Number.isFinite(percent) ? percent : 0));
    this.message = message.slice(0, MAX_MESSAGE_CHARS);
    if (Date.now() - this.#reportedAt < REPORT_INTERVAL_MS) return false;
    this.#reportedAt = Date.now();
    return true;
  }

  /** @returns {JobSummary} */
  get summary() {
    const { job, outcome } = this.record;
    return {
      requestId: job.requestId,
      model: job.model,
      prompt: job.prompt.slice(0, MAX_PROMPT_CHARS),
      progress: Math.floor(this.percent),
      words: this.message,
      stage: outcome ? "sending" : "working",
      startedAt: this.startedAt,
    };
  }
}
