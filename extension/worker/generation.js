/** Generates the pictures of a job with the providers that the user configured. */

import { entryForModel, providers } from "../providers/registry.js";
import { Failure } from "../shared/failures.js";
import { pictureCount, pictureRequest } from "./picture_requests.js";

/** @typedef {import("../shared/types.js").PictureRequest} PictureRequest */
/** @typedef {import("../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {import("./job_store.js").JobStore} JobStore */
/** @typedef {import("./records.js").JobRecord} JobRecord */

const PICTURE_MS = 15 * 60_000;

/**
 * Generate and store the pictures that are not stored yet. Each picture is asked for once in an attempt: if it is
 * unknown what became of one that an earlier worker began, the attempt fails.
 *
 * @param {JobRecord} record
 * @param {ProviderEntry[]} entries
 * @param {JobStore} store
 * @param {{signal: AbortSignal, progress: (percent: number, message: string) => void}} context  progress of the job
 * @returns {Promise<Record<string, unknown>>}  metadata for the report to the server
 */
export async function generatePictures(record, entries, store, { signal, progress }) {
  const { job } = record;
  const count = pictureCount(job);
  const { width, height } = pictureRequest(record, 0);
  const stored = new Set((await store.pictures(job.requestId)).map((picture) => picture.position));
  const missing = Array.from({ length: count }, (_, position) => position).filter((position) => !stored.has(position));
  for (const position of missing) {
    const request = pictureRequest(record, position);
    if (request.begun && !providerFor(entries, request.model).provider.resumes) throw interrupted();
    await store.markBegun(record, position);
    const blob = await generatePicture(request, entries, signal, (percent, message) => {
      progress((100 * position + percent) / count, message || `Picture ${position + 1} of ${count}`);
    });
    signal.throwIfAborted();
    await store.savePicture({ requestId: job.requestId, position, blob });
  }
  return { width, height, generatedAt: new Date().toISOString() };
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
  const { entry, provider } = providerFor(entries, request.model);
  return withTimeout(signal, (bounded) => {
    return provider.generate(request, { signal: bounded, progress, settings: entry.settings });
  });
}

/**
 * End the work that an earlier worker began for a job that is not continued. Never rejects.
 *
 * @param {JobRecord} record
 * @param {ProviderEntry[]} entries
 */
export async function abandonPicture(record, entries) {
  try {
    const { entry, provider } = providerFor(entries, record.job.model);
    await provider.abandon?.(pictureRequest(record, record.begun ?? 0), entry.settings);
  } catch {
    // Without a generator, or with other settings than before, there is nothing to end.
  }
}

/** @param {ProviderEntry[]} entries @param {string} model */
function providerFor(entries, model) {
  const entry = entryForModel(entries, model);
  const provider = entry && providers.get(entry.kind);
  if (entry && provider) return { entry, provider };
  throw new Failure("No generator for this model", { reason: `No generator is set up for the model ${model}.` });
}

function interrupted() {
  return new Failure("The job was interrupted", {
    reason: "The browser was interrupted while the generator made the picture. It may have been made, and is not asked "
      + "for again in this attempt.",
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
