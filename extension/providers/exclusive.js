/** Runs work one at a time, for generators that cannot tell several tasks apart. */

import { abortable } from "./abortable.js";

/** @type {Map<string, Promise<unknown>>} */
const queues = new Map();

/**
 * Run `work` after all earlier work with the same key has ended. Rejects with the signal's reason if it is aborted
 * while waiting.
 *
 * @template T
 * @param {string} key
 * @param {AbortSignal} signal
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export function runExclusively(key, signal, work) {
  const previous = queues.get(key) ?? Promise.resolve();
  const result = abortable(previous, signal).then(work);
  const ended = Promise.allSettled([previous, result]).then(() => {
    if (queues.get(key) === ended) queues.delete(key);
  });
  queues.set(key, ended);
  return result;
}
