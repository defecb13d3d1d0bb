/** Makes the pictures of one job that are not there yet. */

import { choose, providers } from "../providers/registry.js";
import { Failure } from "./failures.js";
import { countOf, orderFor } from "./orders.js";

/** @typedef {import("../shared/types.js").Job} Job */
/** @typedef {import("../shared/types.js").Order} Order */
/** @typedef {import("../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {import("./ledger.js").Ledger} Ledger */

const PICTURE_MS = 15 * 60_000;

/**
 * @param {Job} job
 * @param {ProviderEntry[]} entries
 * @param {Ledger} ledger
 * @param {{signal: AbortSignal, progress: (percent: number, words: string) => void}} help  progress is the whole job's
 * @returns {Promise<Record<string, unknown>>}  what the report says of them
 */
export async function makePictures(job, entries, ledger, { signal, progress }) {
  const count = countOf(job);
  const order = orderFor(job, 0);
  const finished = new Set((await ledger.pictures(job.requestId)).map((picture) => picture.position));
  const missing = Array.from({ length: count }, (_, position) => position).filter((at) => !finished.has(at));
  for (const position of missing) {
    const blob = await makePicture({ ...order, position }, entries, signal, (percent, words) => {
      progress((100 * position + percent) / count, words || `Picture ${position + 1} of ${count}`);
    });
    signal.throwIfAborted();
    await ledger.keepPicture({ requestId: job.requestId, position, blob });
  }
  return { width: order.width, height: order.height, generatedAt: new Date().toISOString() };
}

/**
 * One picture by the generator that the user chose for its model. Rejects with a Failure, or the signal's reason.
 *
 * @param {Order} order
 * @param {ProviderEntry[]} entries
 * @param {AbortSignal} signal
 * @param {(percent: number, words?: string) => void} progress
 */
export async function makePicture(order, entries, signal, progress) {
  const entry = choose(entries, order.model);
  const provider = entry && providers.get(entry.kind);
  if (!entry || !provider) {
    const reason = `Nothing is set up here for the model ${order.model}.`;
    throw new Failure("No generator for this model", { reason });
  }
  return withinTime(signal, (bounded) => {
    return provider.generate(order, { signal: bounded, progress, settings: entry.settings });
  });
}

/**
 * Work that does not end by itself is ended, and not waited for where it does not listen.
 *
 * @template T
 * @param {AbortSignal} signal
 * @param {(signal: AbortSignal) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withinTime(signal, work, limitMs = PICTURE_MS) {
  const limit = new AbortController();
  const failure = new Failure("The generator took too long", {
    reason: `No picture was there after ${limitMs / 60_000} minutes.`,
    code: "ERR_TIMEOUT",
  });
  const timer = setTimeout(() => limit.abort(failure), limitMs);
  const bounded = AbortSignal.any([signal, limit.signal]);
  try {
    bounded.throwIfAborted();
    return await Promise.race([work(bounded), aborted(bounded)]);
  } finally {
    clearTimeout(timer);
  }
}

/** @param {AbortSignal} signal  @returns {Promise<never>} */
function aborted(signal) {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}
