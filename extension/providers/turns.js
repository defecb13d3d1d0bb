/** One at a time, for generators that know but one piece of work and tell it by no name. */

import { unlessAborted } from "./waiting.js";

/** @type {Map<string, Promise<unknown>>} */
const queues = new Map();

/**
 * Do `work` once all that was asked for under the same key before is over. Rejects with the signal's reason if that is
 * aborted while it waits.
 *
 * @template T
 * @param {string} key
 * @param {AbortSignal} signal
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export function inTurn(key, signal, work) {
  const before = queues.get(key) ?? Promise.resolve();
  const mine = unlessAborted(before, signal).then(work);
  const over = Promise.allSettled([before, mine]).then(() => {
    if (queues.get(key) === over) queues.delete(key);
  });
  queues.set(key, over);
  return mine;
}
