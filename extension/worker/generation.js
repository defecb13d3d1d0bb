/** Generates the pictures of a job with the providers that the user configured. */

import { entryForModel, providers } from "../providers/registry.js";
import { Failure } from "../shared/failures.js";
import { pictureCount, pictureRequest } from "./picture_requests.js";

/** @typedef {import("../shared/types.js").Job} Job */
/** @typedef {import("../shared/types.js").PictureRequest} PictureRequest */
/** @typedef {import("../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {import("./job_store.js").JobStore} JobStore */

const PICTURE_MS = 15 * 60_000;

/**
 * Generate and store the pictures that are not stored yet.
 *
 * @param {Job} job
 * @param {ProviderEntry[]} entries
 * @param {JobStore} store
 * @param {{signal: AbortSignal, progress: (percent: number, message: string) => void}} context  progress of the job
 * @returns {Promise<Record<string, unknown>>}  metadata for the report to the server
 */
export async function generatePictures(job, entries, store, { signal, progress }) {
  const count = pictureCount(job);
  const request = pictureRequest(job, 0);
  const stored = new Set((await store.pictures(job.requestId)).map((picture) => picture.position));
  const missing = Array.from({ length: count }, (_, position) => position).filter((position) => !stored.has(position));
  for (const position of missing) {
    const blob = await generatePicture({ ...request, position }, entries, signal, (percent, message) => {
      progress((100 * position + percent) / count, message || `Picture ${position + 1} of ${count}`);
    });
    signal.throwIfAborted();
    await store.savePicture({ requestId: job.requestId, position, blob });
  }
  return { width: request.width, height: request.height, generatedAt: new Date().toISOString() };
}

/**
 * Generate one picture with the entry for its model. Rejects with a Failure, or with the signal's reason.
 *
 * @param {PictureRequest} request
 * @param {ProviderEntry[]} entries
 * @param {AbortSignal} signal
 * @param {(percent: number, message?: string) => void} progress
 */
export async function generatePicture(request, entries, signal, progress) {
  const entry = entryForModel(entries, request.model);
  const provider = entry && providers.get(entry.kind);
  if (!entry || !provider) {
    const reason = `No generator is set up for the model ${request.model}.`;
    throw new Failure("No generator for this model", { reason });
  }
  return withTimeout(signal, (bounded) => {
    return provider.generate(request, { signal: bounded, progress, settings: entry.settings });
  });
}

/**
 * Abort work that takes too long, and do not wait for it if it ignores the signal.
 *
 * @template T
 * @param {AbortSignal} signal
 * @param {(signal: AbortSignal) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withTimeout(signal, work, timeoutMs = PICTURE_MS) {
  const timeout = new AbortController();
  const failure = new Failure("The generator took too long", {
    reason: `There was no result after ${Math.round(timeoutMs / 1000)} s.`,
    code: "ERR_TIMEOUT",
  });
  const timer = setTimeout(() => timeout.abort(failure), timeoutMs);
  const bounded = AbortSignal.any([signal, timeout.signal]);
  try {
    bounded.throwIfAborted();
    return await Promise.race([work(bounded), rejectOnAbort(bounded)]);
  } finally {
    clearTimeout(timer);
  }
}

/** @param {AbortSignal} signal  @returns {Promise<never>} */
function rejectOnAbort(signal) {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}
