/** Generates the pictures of a job with the providers that the user configured. */

import { entryForInputs, entryForModel, providers } from "../providers/registry.js";
import { Failure } from "../shared/failures.js";
import { fetchInputs } from "./inputs.js";
import { pictureCount, pictureRequest } from "./picture_requests.js";
import { Previews } from "./previews.js";
import { usedValues } from "./used_values.js";

/** @typedef {import("../providers/registry.js").InputNeed} InputNeed */
/** @typedef {import("../shared/types.js").GenerationContext} GenerationContext */
/** @typedef {import("../shared/types.js").Job} Job */
/** @typedef {import("../shared/types.js").PictureRequest} PictureRequest */
/** @typedef {import("../shared/types.js").Provider} Provider */
/** @typedef {import("../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {import("./job_store.js").JobStore} JobStore */
/** @typedef {import("./records.js").JobRecord} JobRecord */

/**
 * @typedef {object} JobContext
 * @property {AbortSignal} signal
 * @property {(percent: number, message: string) => void} progress  of the job
 * @property {(preview: import("./previews.js").Preview) => void} [preview]  called only if the job wants previews
 * @property {(entry: ProviderEntry, failure?: Failure) => void} onEnd  a generator made a picture, or failed to
 */

const PICTURE_MS = 15 * 60_000;

/**
 * Generate and store the pictures that are not stored yet. Each picture is asked for once in an attempt: if it is
 * unknown what became of one that an earlier worker began, the attempt fails.
 *
 * @param {JobRecord} record
 * @param {ProviderEntry[]} entries
 * @param {JobStore} store
 * @param {JobContext} context
 * @returns {Promise<Record<string, unknown>>}  metadata for the report to the server
 */
export async function generatePictures(record, entries, store, context) {
  const { job } = record;
  const count = pictureCount(job);
  const { width, height } = pictureRequest(record, 0);
  const stored = new Set((await store.pictures(job.requestId)).map((picture) => picture.position));
  const missing = Array.from({ length: count }, (_, position) => position).filter((position) => !stored.has(position));
  if (missing.length > 0) await generateMissing(record, { missing, count }, entries, store, context);
  const used = await usedValues(job, await store.pictures(job.requestId));
  return { width, height, ...used, generatedAt: new Date().toISOString() };
}

/**
 * @param {JobRecord} record
 * @param {{missing: number[], count: number}} positions
 * @param {ProviderEntry[]} entries
 * @param {JobStore} store
 * @param {JobContext} context
 */
async function generateMissing(record, { missing, count }, entries, store, { signal, progress, preview, onEnd }) {
  const { job } = record;
  const { entry, provider } = providerFor(entries, job);
  if (missing.includes(record.begun ?? -1) && !provider.resumes) throw interrupted();
  if (job.inputImages) progress(0, "Fetching the input pictures");
  const inputs = await fetchInputs(job, signal);
  for (const position of missing) {
    const request = pictureRequest(record, position, inputs);
    await store.markBegun(record, position);
    /** @type {import("../shared/types.js").Used} */
    const used = {};
    const previews = job.previews && preview ? new Previews({ most: job.previews, position }, preview) : undefined;
    const work = generatePicture(request, entry, {
      signal,
      previews,
      progress: (percent, message) => {
        previews?.progress(percent);
        progress((100 * position + percent) / count, message || `Picture ${position + 1} of ${count}`);
      },
      used: (values) => Object.assign(used, values),
    });
    const blob = await observed(work, signal, (failure) => onEnd(entry, failure));
    await store.savePicture({ requestId: job.requestId, position, blob, used });
  }
}

/**
 * Report how the work ended, unless it was aborted.
 *
 * @template T
 * @param {Promise<T>} work
 * @param {AbortSignal} signal
 * @param {(failure?: Failure) => void} onEnd
 * @returns {Promise<T>}
 */
async function observed(work, signal, onEnd) {
  try {
    const result = await work;
    signal.throwIfAborted();
    onEnd();
    return result;
  } catch (problem) {
    if (!signal.aborted) onEnd(Failure.from(problem));
    throw problem;
  }
}

/**
 * Generate one picture with this entry. Rejects with a Failure, or with the signal's reason.
 *
 * @param {PictureRequest} request
 * @param {ProviderEntry} entry
 * @param {Omit<GenerationContext, "settings">} context
 */
export async function generatePicture(request, entry, context) {
  const provider = providers.get(entry.kind);
  if (!provider) throw noGenerator(request.model);
  return withTimeout(context.signal, (signal) => {
    return provider.generate(request, { ...context, signal, settings: entry.settings });
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
    const { entry, provider } = providerFor(entries, record.job);
    await provider.abandon?.(pictureRequest(record, record.begun ?? 0), entry.settings);
  } catch {
    // Without a generator, or with other settings than before, there is nothing to end.
  }
}

/** What the job's input pictures need; undefined if it has none. @type {(job: Job) => InputNeed | undefined} */
function needOf({ inputImages }) {
  if (!inputImages) return undefined;
  const images = inputImages.filter(({ role }) => role === "image").length;
  return { operation: images < inputImages.length ? "image-edit" : "image-variation", images };
}

/** @type {(entries: ProviderEntry[], job: Job) => {entry: ProviderEntry, provider: Provider}} */
function providerFor(entries, job) {
  const { model } = job;
  const need = needOf(job);
  const entry = need ? entryForInputs(entries, model, need) : entryForModel(entries, model);
  const provider = entry && providers.get(entry.kind);
  if (entry && provider) return { entry, provider };
  throw need && entryForModel(entries, model) ? notPossible(model, need) : noGenerator(model);
}

/** @type {(model: string) => Failure} */
function noGenerator(model) {
  return new Failure("No generator for this model", { reason: `No generator is set up for the model ${model}.` });
}

/** Another extension may be able to, and nothing pauses here. @type {(model: string, need: InputNeed) => Failure} */
function notPossible(model, { operation, images }) {
  const work = operation === "image-edit" ? "make edits with a mask" : "make variations";
  const of = images > 1 ? ` of ${images} pictures at once` : "";
  return new Failure("No generator for input pictures", {
    reason: `No generator here can ${work}${of} with the model ${model}.`, retryAfterMs: 0,
  });
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
