/** Exponential backoff with jitter. */

export const MAX_DELAY_MS = 30_000;
const INITIAL_DELAY_MS = 1_000;

export class Backoff {
  #attempts = 0;
  #random;

  /** @param {{random?: () => number}} [options] */
  constructor({ random = Math.random } = {}) {
    this.#random = random;
  }

  /** The delay before the next attempt, in ms: up to half of it is random. */
  nextDelayMs() {
    const longest = Math.min(MAX_DELAY_MS, INITIAL_DELAY_MS * 2 ** this.#attempts);
    this.#attempts += 1;
    return Math.round(longest * (0.5 + this.#random() / 2));
  }

  /** Start again with short delays, after a success. */
  reset() {
    this.#attempts = 0;
  }
}

/**
 * The delay, plus a random part of up to half of it.
 *
 * @param {number} delayMs
 */
export function withJitter(delayMs, random = Math.random) {
  return Math.round(delayMs * (1 + random() / 2));
}
