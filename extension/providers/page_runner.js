/** Runs a recipe in a tab. The page is polled; all waiting happens here and not in the page. */

import { Failure } from "../shared/failures.js";
import { abortable, sleep } from "./abortable.js";
import { MAX_PICTURE_BYTES, sendRequest } from "./http.js";
import { failureFromResponse, NEEDS_USER_MS } from "./http_failures.js";
import { failureForState } from "./page_failures.js";
import { STATES } from "./page_recipe.js";
import { runInPage } from "./page_script.js";
import { pictureFromBase64, toPicture } from "./pictures.js";
import { baseUrl } from "./validation.js";

const POLL_MS = 300;
const ACTION_TIMEOUT_MS = 15_000;
const WAIT_TIMEOUT_MS = 120_000;
const OPEN_TIMEOUT_MS = 45_000;
/** Percent of the total for the steps, if the page shows its own progress. */
const STEPS_PERCENT = 10;
/** Percent of the total for downloading the picture. */
const DOWNLOAD_PERCENT = 5;

/** @typedef {import("../shared/types.js").GenerationContext["progress"]} Progress */
/** @typedef {import("./page_recipe.js").Recipe} Recipe */
/** @typedef {import("./page_recipe.js").StateMatcher} StateMatcher */
/** @typedef {import("./page_script.js").PageCommand} PageCommand */
/** @typedef {import("./page_script.js").PageResult} PageResult */
/**
 * @typedef {object} PollOptions
 * @property {number} tab
 * @property {Recipe} recipe
 * @property {Pick<PageCommand, "step" | "picture">} command
 * @property {string} what  the command, for error messages
 * @property {number} timeoutMs
 * @property {(result: PageResult) => void} onResult
 * @property {AbortSignal} signal
 */

/**
 * Wait until the page is ready for the first step.
 *
 * @param {number} tab
 * @param {Recipe} recipe
 * @param {Progress} progress
 * @param {AbortSignal} signal
 */
export async function waitUntilReady(tab, recipe, progress, signal) {
  const step = { wait: recipe.ready ?? "body" };
  await poll({
    tab, recipe, command: { step }, what: `ready ("${step.wait}")`, timeoutMs: OPEN_TIMEOUT_MS, signal,
    onResult: () => progress(0, "Opening the page"),
  });
}

/**
 * @param {number} tab
 * @param {Recipe} recipe  with its placeholders filled
 * @param {Progress} progress
 * @param {AbortSignal} signal
 */
export async function runSteps(tab, recipe, progress, signal) {
  const { steps } = recipe;
  for (const [index, step] of steps.entries()) {
    const [action, value] = Object.entries(step)[0];
    const isWait = ["wait", "gone", "text"].includes(action);
    await poll({
      tab, recipe, command: { step }, signal,
      what: `step ${index + 1} (${action} "${value}")`,
      timeoutMs: step.timeoutMs ?? (isWait ? WAIT_TIMEOUT_MS : ACTION_TIMEOUT_MS),
      onResult: ({ percent }) => {
        const message = isWait ? "Waiting for the page" : "Filling in the page";
        progress(totalPercent(recipe, index / steps.length, percent), message);
      },
    });
  }
}

/**
 * Wait for the picture and return it.
 *
 * @param {number} tab
 * @param {Recipe} recipe
 * @param {Progress} progress
 * @param {AbortSignal} signal
 * @returns {Promise<Blob>}
 */
export async function readPicture(tab, recipe, progress, signal) {
  const { timeoutMs = WAIT_TIMEOUT_MS, ...picture } = recipe.picture;
  const [[kind, selector]] = Object.entries(picture);
  const { data, url } = await poll({
    tab, recipe, command: { picture }, what: `picture (${kind} "${selector}")`, timeoutMs, signal,
    onResult: ({ percent }) => progress(totalPercent(recipe, 1, percent), "Waiting for the picture"),
  });
  const { host } = new URL(recipe.url);
  return url ? download(url, recipe, signal) : pictureFromBase64(data, host);
}

/**
 * @param {Recipe} recipe
 * @param {number} finished  fraction of the steps, 0 to 1
 * @param {number} [percent]  progress that the page shows
 */
function totalPercent(recipe, finished, percent) {
  const steps = recipe.progress ? STEPS_PERCENT : 100 - DOWNLOAD_PERCENT;
  const shown = Math.min(100, Math.max(0, percent ?? 0)) / 100;
  return steps * finished + (100 - DOWNLOAD_PERCENT - steps) * shown;
}

/**
 * Repeat a command until it is done. Rejects with a Failure after the timeout, or if the page is in a state in which
 * the command cannot succeed.
 *
 * @param {PollOptions} options
 * @returns {Promise<PageResult>}
 */
async function poll({ tab, recipe, command, what, timeoutMs, onResult, signal }) {
  const timeout = AbortSignal.timeout(timeoutMs);
  const bounded = AbortSignal.any([signal, timeout]);
  const { host } = new URL(recipe.url);
  const matchers = matchersOf(recipe);
  const task = { ...command, matchers, progress: recipe.progress, maxBytes: MAX_PICTURE_BYTES };
  let problem = "the page does not respond";
  try {
    for (;;) {
      const result = await execute(tab, task, bounded);
      if (result.state) throw failureForState(result.state, matchers[result.state.index][1], host);
      onResult(result);
      if (result.done) return result;
      problem = result.problem ?? problem;
      if (result.isFinal) throw commandFailure(host, what, problem);
      await sleep(POLL_MS, bounded);
    }
  } catch (reason) {
    signal.throwIfAborted();
    if (timeout.aborted && !(reason instanceof Failure)) throw commandFailure(host, what, problem, "ERR_TIMEOUT");
    throw reason;
  }
}

/** @type {(tabId: number, command: PageCommand, signal: AbortSignal) => Promise<PageResult>} */
async function execute(tabId, command, signal) {
  // Arguments must not contain undefined.
  const args = /** @type {[PageCommand]} */ ([JSON.parse(JSON.stringify(command))]);
  const execution = chrome.scripting.executeScript({ target: { tabId }, func: runInPage, args });
  try {
    const [injection] = await abortable(execution, signal);
    return injection?.result ?? { done: false, problem: "the page does not respond" };
  } catch (problem) {
    signal.throwIfAborted();
    return resultFromError(String(problem));
  }
}

/**
 * Errors during a navigation are temporary. All others are Failures.
 *
 * @param {string} problem
 * @returns {PageResult}
 */
function resultFromError(problem) {
  if (/no tab with id|tab was closed/i.test(problem)) {
    throw new Failure("The tab was closed", { reason: "The tab was closed before the picture was finished." });
  }
  if (/error page|cannot be scripted/i.test(problem)) {
    const reason = "The browser shows an error instead of the page.";
    throw new Failure("The page cannot be reached", { reason, retryAfterMs: 60_000 });
  }
  if (/cannot access|must request permission/i.test(problem)) {
    const reason = "The page is on a host that the extension may not access. It may have redirected to a login page, "
      + "or the host must be allowed in the settings.";
    throw new Failure("Not allowed on this page", { reason, retryAfterMs: NEEDS_USER_MS });
  }
  return { done: false, problem };
}

/** @type {(recipe: Recipe) => [string, StateMatcher][]} */
function matchersOf({ states = {} }) {
  const byName = /** @type {Record<string, StateMatcher | StateMatcher[]>} */ (states);
  return STATES.flatMap((name) => {
    return [byName[name] ?? []].flat().map((matcher) => /** @type {[string, StateMatcher]} */ ([name, matcher]));
  });
}

/**
 * Only from hosts in the recipe: a page must not make this browser send requests to other hosts in the user's network.
 *
 * @param {string} url
 * @param {Recipe} recipe
 * @param {AbortSignal} signal
 */
async function download(url, { url: pageUrl, hosts = [] }, signal) {
  const { origin, host } = new URL(url);
  const allowed = [pageUrl, ...hosts].map((each) => new URL(baseUrl(each) ?? pageUrl).origin);
  if (!allowed.includes(origin)) {
    const reason = `The picture is at ${origin}. Add this address to "hosts" in the recipe.`;
    throw new Failure("The recipe is invalid", { reason, retryAfterMs: NEEDS_USER_MS });
  }
  const response = await sendRequest(url, {
    signal, timeoutMs: 60_000, maxBytes: MAX_PICTURE_BYTES, credentials: "include",
  });
  if (response.status !== 200) throw failureFromResponse(response);
  return toPicture(response.bytes, host);
}

/** @type {(host: string, what: string, problem: string, code?: "ERR_TIMEOUT") => Failure} */
function commandFailure(host, what, problem, code) {
  const reason = `${host}: ${what} failed: ${problem}.`;
  return new Failure("The recipe does not work on this page", { reason, code });
}
