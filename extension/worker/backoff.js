/** How long to wait before the next try: longer each time, and never all at once with others. */

export const MOST_MS = 30_000;

export class Backoff {
  #tries = 0;
  #firstMs;
  #mostMs;
  #random;

  /** @param {{firstMs?: number, mostMs?: number, random?: () => number}} [options] */
  constructor({ firstMs = 1_000, mostMs = MOST_MS, random = Math.random } = {}) {
    this.#firstMs = firstMs;
    this.#mostMs = mostMs;
    this.#random = random;
  }

  /** The pause before the next try, in ms: the second half of it is left to chance. */
  next() {
    const longest = Math.min(this.#mostMs, this.#firstMs * 2 ** this.#tries);
    this.#tries += 1;
    return Math.round(longest * (0.5 + this.#random() / 2));
  }

  /** It went well: begin with short pauses again. */
  reset() {
    this.#tries = 0;
  }
}

/**
 * So long at least, and by chance up to half as long again.
 *
 * @param {number} leastMs
 */
export function later(leastMs, random = Math.random) {
  return Math.round(leastMs * (1 + random() / 2));
}
