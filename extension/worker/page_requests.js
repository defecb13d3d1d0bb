/** Handles the requests that pages send to the worker. */

import { providers } from "../providers/registry.js";
import { Failure } from "../shared/failures.js";
import { save } from "../shared/settings.js";
import { dataUrl } from "../shared/data_url.js";
import { generatePicture, withTimeout } from "./generation.js";
import { keepAlive } from "./keep_alive.js";

/** @typedef {import("../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {import("../shared/types.js").Settings} Settings */
/** @typedef {import("../shared/types.js").Status} Status */
/** @typedef {import("../shared/types.js").WorkerRequest} WorkerRequest */
/** @typedef {import("../shared/types.js").WorkerResponse} WorkerResponse */

const TRIAL_SIDE_PX = 512;
const TRIAL_MS = 5 * 60_000;
const CHECK_MS = 20_000;
const PROGRESS_INTERVAL_MS = 250;

/**
 * @typedef {object} Dependencies
 * @property {() => Settings} settings
 * @property {() => void} connect
 * @property {(changes: Partial<Status>) => void} updateStatus
 * @property {(entry: ProviderEntry) => void} onPicture  a test picture was made
 */

/**
 * Never rejects.
 *
 * @param {WorkerRequest} request
 * @param {Dependencies} dependencies
 * @returns {Promise<WorkerResponse>}
 */
export async function handlePageRequest(request, dependencies) {
  try {
    return { ok: true, ...await keepAlive(handle(request, dependencies)) };
  } catch (problem) {
    const { error, reason } = Failure.from(problem);
    return { ok: false, error: reason ?? error };
  }
}

/**
 * @param {WorkerRequest} request
 * @param {Dependencies} dependencies
 * @returns {Promise<{message?: string, picture?: string, seed?: number | string}>}
 */
async function handle(request, dependencies) {
  const { settings, connect } = dependencies;
  switch (request.type) {
    case "connect":
      connect();
      return {};
    case "pause":
      await save({ paused: request.paused });
      return {};
    case "check":
      return { message: await check(findEntry(settings(), request.providerId)) };
    case "test":
      return makeTrial(findEntry(settings(), request.providerId), request.prompt, dependencies);
    default:
      throw new Failure("The extension does not know this request.");
  }
}

/** @param {ProviderEntry} entry */
async function check({ kind, settings }) {
  const provider = providers.get(kind);
  if (!provider) throw new Failure(`This extension has no generator of the kind ${kind}.`);
  return withTimeout(new AbortController().signal, (signal) => provider.check(settings, signal), CHECK_MS);
}

/** @param {ProviderEntry} entry @param {string} prompt @param {Dependencies} dependencies */
async function makeTrial(entry, prompt, { updateStatus, onPicture }) {
  const request = {
    requestId: `trial-${crypto.randomUUID()}`, prompt, model: entry.models.find((name) => name !== "*") ?? "test",
    width: TRIAL_SIDE_PX, height: TRIAL_SIDE_PX, position: 0, parameters: {},
    attempt: crypto.randomUUID(), begun: false,
  };
  const progress = trialProgress(entry.id, updateStatus);
  try {
    /** @type {number | string | undefined} */
    let seed;
    const picture = await generatePicture(request, entry, {
      signal: AbortSignal.timeout(TRIAL_MS),
      progress,
      used: (values) => {
        seed = values.seed ?? seed;
      },
    });
    onPicture(entry);
    return { picture: await dataUrl(picture), seed };
  } finally {
    updateStatus({ trial: undefined });
  }
}

/** @param {string} providerId @param {Dependencies["updateStatus"]} updateStatus */
function trialProgress(providerId, updateStatus) {
  let updatedAt = 0;
  return (/** @type {number} */ percent, message = "") => {
    if (Date.now() - updatedAt < PROGRESS_INTERVAL_MS) return;
    updatedAt = Date.now();
    updateStatus({ trial: { providerId, progress: Math.floor(percent), words: message } });
  };
}

/** @param {Settings} settings @param {string} providerId */
function findEntry(settings, providerId) {
  const entry = settings.providers.find(({ id }) => id === providerId);
  if (!entry) throw new Failure("This generator does not exist any more. Please save first.");
  return entry;
}
