/** One request in hand, with what is known of it only while this worker lives. */

/** @typedef {import("../shared/types.js").ShownJob} ShownJob */
/** @typedef {import("./records.js").JobRecord} JobRecord */

const SHOWN_PROMPT_CHARS = 120;
const WORDS_CHARS = 200;
const REPORT_EVERY_MS = 500;

export class Task {
  percent = 0;
  words = "";
  /** Whether the server has said, since this worker began, that the request is still ours. */
  ready;
  running = false;
  delivering = false;
  startedAt = Date.now();
  #stopping = new AbortController();
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
    return this.#stopping.signal;
  }

  /** It could be worked on, and is not. */
  get isWaiting() {
    return this.ready && this.record.held && !this.record.outcome && !this.running && !this.signal.aborted;
  }

  /** The work on it is not wanted any more. */
  stop() {
    this.#stopping.abort();
  }

  /**
   * Note how far it is. True where that is to be told: not too often, and never backwards.
   *
   * @param {number} percent
   * @param {string} words
   */
  note(percent, words) {
    this.percent = Math.max(this.percent, Math.min(99, Number.isFinite(percent) ? percent : 0));
    this.words = words.slice(0, WORDS_CHARS);
    if (Date.now() - this.#reportedAt < REPORT_EVERY_MS) return false;
    this.#reportedAt = Date.now();
    return true;
  }

  /** @returns {ShownJob} */
  get shown() {
    const { job, outcome } = this.record;
    return {
      requestId: job.requestId,
      model: job.model,
      prompt: job.prompt.slice(0, SHOWN_PROMPT_CHARS),
      progress: Math.floor(this.percent),
      words: this.words,
      stage: outcome ? "sending" : "working",
      startedAt: this.startedAt,
    };
  }
}
