/** Failures of jobs, as reported to the server and shown to the user. */

/** @typedef {"ERR_RATE_LIMIT" | "ERR_INVALID_PROMPT" | "ERR_GENERATION_FAILED" | "ERR_TIMEOUT"} FailureCode */

/**
 * @typedef {object} FailureDetail
 * @property {string} [reason]  one sentence
 * @property {FailureCode} [code]
 * @property {boolean} [retryable]  whether a retry, here or in another browser, may succeed
 * @property {number} [retryAfterMs]  how long the server should send this extension no more jobs of this kind
 */

/** A job, or a check of a provider, that failed. `error` is a short title; `reason` is a sentence. */
export class Failure extends Error {
  /**
   * @param {string} error
   * @param {FailureDetail} [detail]
   */
  constructor(error, { reason, code = "ERR_GENERATION_FAILED", retryable = true, retryAfterMs } = {}) {
    super(error);
    this.name = "Failure";
    this.error = error;
    this.reason = reason;
    this.code = code;
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
  }

  /** The fields that are stored and sent. */
  get fields() {
    const { error, reason, code, retryable, retryAfterMs } = this;
    return { error, reason, code, retryable, retryAfterMs };
  }

  /**
   * Convert anything that was thrown. Unexpected errors are retryable.
   *
   * @param {unknown} problem
   */
  static from(problem) {
    if (problem instanceof Failure) return problem;
    const reason = problem instanceof Error ? `${problem.name}: ${problem.message}` : String(problem);
    return new Failure("The extension failed", { reason });
  }
}
