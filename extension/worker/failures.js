/**
 * Why nothing came of a job, as the server, the popup and the log are told it.
 */

/** @typedef {"ERR_RATE_LIMIT" | "ERR_INVALID_PROMPT" | "ERR_GENERATION_FAILED" | "ERR_TIMEOUT"} FailureCode */

/**
 * @typedef {object} FailureDetail
 * @property {string} [reason]  one sentence
 * @property {FailureCode} [code]
 * @property {boolean} [retryable]  whether another try, here or elsewhere, may do better
 * @property {number} [retryAfterMs]  how long this extension should be given none of the kind
 */

/** A job, or a check of a provider, that failed. `error` is a few words; `reason` is a sentence. */
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

  /** As it is kept and told. */
  get fields() {
    const { error, reason, code, retryable, retryAfterMs } = this;
    return { error, reason, code, retryable, retryAfterMs };
  }

  /**
   * Whatever was thrown, as a Failure: what nobody expected may go better the next time.
   *
   * @param {unknown} problem
   */
  static from(problem) {
    if (problem instanceof Failure) return problem;
    const words = problem instanceof Error ? `${problem.name}: ${problem.message}` : String(problem);
    return new Failure("The extension failed", { reason: words });
  }
}
