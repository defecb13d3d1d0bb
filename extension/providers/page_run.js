/** Working through a recipe in a tab. The page is looked at again and again; all waiting is done here. */

import { Failure } from "../worker/failures.js";
import { baseUrl } from "./fields.js";
import { ask, PICTURE_BYTES } from "./http.js";
import { STATES } from "./page_recipe.js";
import { failureOfState } from "./page_states.js";
import { visit } from "./page_steps.js";
import { picture, pictureFromText } from "./pictures.js";
import { failureOf, UNTIL_SEEN_TO_MS } from "./refusals.js";
import { pause, unlessAborted } from "./waiting.js";

const POLL_MS = 300;
const ACT_MS = 15_000;
const WAIT_MS = 120_000;
const OPEN_MS = 45_000;
/** Of the whole, in percent: filling in a page that shows its own progress, and fetching the picture. */
const FILLING = 10;
const FETCHING = 5;

/** @typedef {import("../shared/types.js").Help["progress"]} Progress */
/** @typedef {import("./page_recipe.js").Recipe} Recipe */
/** @typedef {import("./page_recipe.js").Sign} Sign */
/** @typedef {import("./page_steps.js").Task} Task */
/** @typedef {import("./page_steps.js").Seen} Seen */
/**
 * @typedef {object} Look
 * @property {number} tab
 * @property {Recipe} recipe
 * @property {Pick<Task, "step" | "picture">} task
 * @property {string} what  is done, for sentences
 * @property {number} timeoutMs
 * @property {(seen: Seen) => void} hear
 * @property {AbortSignal} signal
 */

/**
 * Wait for the page as it is before the first step.
 *
 * @param {number} tab
 * @param {Recipe} recipe
 * @param {Progress} progress
 * @param {AbortSignal} signal
 */
export async function makeReady(tab, recipe, progress, signal) {
  const step = { wait: recipe.ready ?? "body" };
  const what = `ready ("${step.wait}")`;
  await until({ tab, recipe, task: { step }, what, timeoutMs: OPEN_MS, hear: () => progress(0, "Opening"), signal });
}

/**
 * Take one step after the other.
 *
 * @param {number} tab
 * @param {Recipe} recipe  with everything in its place
 * @param {Progress} progress
 * @param {AbortSignal} signal
 */
export async function walk(tab, recipe, progress, signal) {
  const { steps } = recipe;
  for (const [index, step] of steps.entries()) {
    const [word, value] = Object.entries(step)[0];
    const waits = ["wait", "gone", "text"].includes(word);
    await until({
      tab, recipe, task: { step }, signal,
      what: `step ${index + 1} (${word} "${value}")`,
      timeoutMs: step.timeoutMs ?? (waits ? WAIT_MS : ACT_MS),
      hear: ({ percent }) => {
        const share = shareOf(recipe, index / steps.length, percent);
        progress(share, waits ? "Waiting for the page" : "Filling in the page");
      },
    });
  }
}

/**
 * The picture, once it is there.
 *
 * @param {number} tab
 * @param {Recipe} recipe
 * @param {Progress} progress
 * @param {AbortSignal} signal
 * @returns {Promise<Blob>}
 */
export async function takePicture(tab, recipe, progress, signal) {
  const { timeoutMs = WAIT_MS, ...wanted } = recipe.picture;
  const [[kind, selector]] = Object.entries(wanted);
  const { data, url } = await until({
    tab, recipe, task: { picture: wanted }, what: `picture (${kind} "${selector}")`, timeoutMs, signal,
    hear: ({ percent }) => progress(shareOf(recipe, 1, percent), "Waiting for the picture"),
  });
  const { host } = new URL(recipe.url);
  return url ? fetched(url, recipe, signal) : pictureFromText(data, host);
}

/**
 * How much of the whole is done, in percent.
 *
 * @param {Recipe} recipe
 * @param {number} walked  which part of its steps, 0 to 1
 * @param {number} [percent]  as the page shows it
 */
function shareOf(recipe, walked, percent) {
  const steps = recipe.progress ? FILLING : 100 - FETCHING;
  const shown = Math.min(100, Math.max(0, percent ?? 0)) / 100;
  return steps * walked + (100 - FETCHING - steps) * shown;
}

/**
 * Look at the page until it is as wanted. Rejects with a Failure where it takes too long, or the page is in a state
 * in which nothing will come.
 *
 * @param {Look} look
 * @returns {Promise<Seen>}
 */
async function until({ tab, recipe, task, what, timeoutMs, hear, signal }) {
  const patience = AbortSignal.timeout(timeoutMs);
  const either = AbortSignal.any([signal, patience]);
  const { host } = new URL(recipe.url);
  const signs = signsOf(recipe);
  let problem = "the page does not answer";
  try {
    for (;;) {
      const seen = await visited(tab, { ...task, signs, progress: recipe.progress, most: PICTURE_BYTES }, either);
      if (seen.state) throw failureOfState(seen.state, signs[seen.state.index][1], host);
      hear(seen);
      if (seen.done) return seen;
      problem = seen.problem ?? problem;
      if (seen.hopeless) throw failed(host, what, problem);
      await pause(POLL_MS, either);
    }
  } catch (reason) {
    signal.throwIfAborted();
    if (patience.aborted && !(reason instanceof Failure)) throw failed(host, what, problem, "ERR_TIMEOUT");
    throw reason;
  }
}

/** @type {(tabId: number, task: Task, signal: AbortSignal) => Promise<Seen>} */
async function visited(tabId, task, signal) {
  const run = chrome.scripting.executeScript({ target: { tabId }, func: visit, args: [defined(task)] });
  try {
    const [answer] = await unlessAborted(run, signal);
    return answer?.result ?? { done: false, problem: "the page does not answer" };
  } catch (problem) {
    signal.throwIfAborted();
    return excused(String(problem));
  }
}

/**
 * A page that is just being replaced cannot be looked at; it can be a moment later.
 *
 * @param {string} problem
 * @returns {Seen}
 */
function excused(problem) {
  if (/no tab with id|tab was closed/i.test(problem)) {
    throw new Failure("The tab was closed", { reason: "Somebody closed the tab in which the picture was being made." });
  }
  if (/error page|cannot be scripted/i.test(problem)) {
    const reason = "The browser shows an error in place of the page.";
    throw new Failure("The page cannot be reached", { reason, retryAfterMs: 60_000 });
  }
  if (/cannot access|must request permission/i.test(problem)) {
    const reason = "The page is, or leads to, one where this extension may not look: it may ask to sign in, "
      + "or its host is yet to be allowed in the options.";
    throw new Failure("Not allowed on this page", { reason, retryAfterMs: UNTIL_SEEN_TO_MS });
  }
  return { done: false, problem };
}

/** What is not there cannot travel. @type {(task: Task) => Task} */
function defined(task) {
  return JSON.parse(JSON.stringify(task));
}

/** @type {(recipe: Recipe) => [string, Sign][]} */
function signsOf({ states = {} }) {
  const named = /** @type {Record<string, Sign | Sign[]>} */ (states);
  return STATES.flatMap((name) => [named[name] ?? []].flat().map((sign) => pair(name, sign)));
}

/** @type {(name: string, sign: Sign) => [string, Sign]} */
function pair(name, sign) {
  return [name, sign];
}

/**
 * Only from hosts that the recipe names: a page does not get to have this browser knock at other doors.
 *
 * @param {string} url
 * @param {Recipe} recipe
 * @param {AbortSignal} signal
 */
async function fetched(url, { url: own, hosts = [] }, signal) {
  const { origin, host } = new URL(url);
  const known = [own, ...hosts].map((each) => new URL(baseUrl(each) ?? own).origin);
  if (!known.includes(origin)) {
    const reason = `The picture comes from ${origin}: name that under "hosts" in the recipe.`;
    throw new Failure("The recipe is wrong", { reason, retryAfterMs: UNTIL_SEEN_TO_MS });
  }
  const answer = await ask(url, { signal, timeoutMs: 60_000, maxBytes: PICTURE_BYTES, credentials: "include" });
  if (answer.status !== 200) throw failureOf(answer);
  return picture(answer.bytes, host);
}

/** @type {(host: string, what: string, problem: string, code?: "ERR_TIMEOUT") => Failure} */
function failed(host, what, problem, code) {
  const reason = `${host}: ${what} did not work out, as ${problem}.`;
  return new Failure("The page did not do as the recipe says", { reason, code });
}
