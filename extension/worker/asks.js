/** What pages ask of the worker. */

import { providers } from "../providers/registry.js";
import { save } from "../shared/settings.js";
import { stayAwake } from "./awake.js";
import { dataUrl } from "./data_url.js";
import { Failure } from "./failures.js";
import { makePicture, withinTime } from "./maker.js";

/** @typedef {import("../shared/types.js").Answer} Answer */
/** @typedef {import("../shared/types.js").Ask} Ask */
/** @typedef {import("../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {import("../shared/types.js").Settings} Settings */
/** @typedef {import("../shared/types.js").Status} Status */

const TRIAL_SIDE_PX = 512;
const TRIAL_MS = 5 * 60_000;
const CHECK_MS = 20_000;
const TOLD_EVERY_MS = 250;

/**
 * @typedef {object} Surroundings
 * @property {() => Settings} settings
 * @property {() => void} connect
 * @property {(change: Partial<Status>) => void} tell
 */

/**
 * Never rejects.
 *
 * @param {Ask} question
 * @param {Surroundings} surroundings
 * @returns {Promise<Answer>}
 */
export async function answer(question, surroundings) {
  try {
    return { ok: true, ...await stayAwake(act(question, surroundings)) };
  } catch (problem) {
    const { error, reason } = Failure.from(problem);
    return { ok: false, error: reason ?? error };
  }
}

/** @param {Ask} question @param {Surroundings} surroundings  @returns {Promise<{words?: string, picture?: string}>} */
async function act(question, { settings, connect, tell }) {
  switch (question.ask) {
    case "connect":
      connect();
      return {};
    case "pause":
      await save({ paused: question.paused });
      return {};
    case "check":
      return { words: await check(entryOf(settings(), question.providerId)) };
    case "test":
      return { picture: await tryOut(entryOf(settings(), question.providerId), question.prompt, tell) };
    default:
      throw new Failure("The extension does not know what is asked.");
  }
}

/** @param {ProviderEntry} entry */
async function check({ kind, settings }) {
  const provider = providers.get(kind);
  if (!provider) throw new Failure(`This extension has no generator of the kind ${kind}.`);
  return withinTime(new AbortController().signal, (signal) => provider.check(settings, signal), CHECK_MS);
}

/** @param {ProviderEntry} entry @param {string} prompt @param {Surroundings["tell"]} tell */
async function tryOut(entry, prompt, tell) {
  const model = entry.models.find((name) => name !== "*") ?? "test";
  const order = { requestId: `trial-${crypto.randomUUID()}`, prompt, model, position: 0, parameters: {} };
  let toldAt = 0;
  /** @param {number} percent */
  const progress = (percent, words = "") => {
    if (Date.now() - toldAt < TOLD_EVERY_MS) return;
    toldAt = Date.now();
    tell({ trial: { providerId: entry.id, progress: Math.floor(percent), words } });
  };
  try {
    const size = { width: TRIAL_SIDE_PX, height: TRIAL_SIDE_PX };
    const only = [{ ...entry, enabled: true, models: ["*"] }];
    const blob = await makePicture({ ...order, ...size }, only, AbortSignal.timeout(TRIAL_MS), progress);
    return await dataUrl(blob);
  } finally {
    tell({ trial: undefined });
  }
}

/** @param {Settings} settings @param {string} providerId */
function entryOf(settings, providerId) {
  const entry = settings.providers.find(({ id }) => id === providerId);
  if (!entry) throw new Failure("There is no such generator any more: please save first.");
  return entry;
}
