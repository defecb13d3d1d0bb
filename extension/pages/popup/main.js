/** The popup: how the connection stands, what is being done, and a switch to pause it. */

import { ask } from "../../shared/asks.js";
import { load, subscribe } from "../../shared/settings.js";
import { read, subscribe as follow } from "../../shared/status.js";
import { byId, say } from "../dom.js";
import { retryWords, saying, today } from "../words.js";
import { showJobs } from "./job_list.js";

/** @typedef {import("../../shared/types.js").Settings} Settings */
/** @typedef {import("../../shared/types.js").Status} Status */

const paused = byId("paused", HTMLInputElement);
const again = byId("again", HTMLButtonElement);
const setUp = byId("set-up", HTMLButtonElement);
const serverPage = byId("server-page", HTMLAnchorElement);
const jobList = byId("job-list", HTMLUListElement);

/** @type {Status} */
let status;

/** @param {Settings} settings */
function showSettings(settings) {
  paused.checked = settings.paused;
  const { server, extensionId } = settings;
  say(byId("server", HTMLElement), server && `${extensionId} at ${server}`);
  serverPage.hidden = !server;
  if (server) serverPage.href = `${server}/`;
}

/** @param {Status} now */
function showStatus(now) {
  status = now;
  const { label, tone, sentence } = saying(now);
  say(byId("state", HTMLElement), label, tone);
  say(byId("sentence", HTMLElement), sentence);
  setUp.hidden = now.state !== "unset";
  byId("pause-row", HTMLElement).hidden = now.state === "unset";
  byId("again-row", HTMLElement).hidden = !["waiting", "refused"].includes(now.state);
  showRetry();
  byId("jobs", HTMLElement).hidden = now.jobs.length === 0;
  showJobs(jobList, now.jobs);
  showFailure(now);
  showNumbers(now);
}

/** @param {Status} now */
function showFailure({ failure }) {
  byId("failure", HTMLElement).hidden = !failure;
  if (!failure) return;
  say(byId("failure-model", HTMLElement), `Failed: ${failure.model}`);
  say(byId("failure-when", HTMLElement), new Date(failure.at).toLocaleTimeString([], { timeStyle: "short" }));
  say(byId("failure-reason", HTMLElement), failure.reason);
}

function showRetry() {
  say(byId("retry", HTMLElement), retryWords(status, Date.now()));
}

/** @param {Status} now */
function showNumbers(now) {
  const { done, failed } = today(now, new Date());
  say(byId("done", HTMLElement), String(done));
  say(byId("failed", HTMLElement), String(failed), failed > 0 ? "bad" : "");
  say(byId("unsent", HTMLElement), String(now.unsent), now.unsent > 0 ? "warn" : "");
}

/** @param {import("../../shared/types.js").Ask} question */
async function asking(question) {
  const problem = byId("problem", HTMLElement);
  say(problem, "");
  try {
    await ask(question);
    return true;
  } catch (error) {
    say(problem, error instanceof Error ? error.message : String(error));
    return false;
  }
}

async function tryNow() {
  again.disabled = true;
  await asking({ ask: "connect" });
  again.disabled = false;
}

async function pause() {
  const wanted = paused.checked;
  if (!await asking({ ask: "pause", paused: wanted })) paused.checked = !wanted;
}

function openOptions() {
  chrome.runtime.openOptionsPage();
  window.close();
}

again.addEventListener("click", tryNow);
paused.addEventListener("change", pause);
for (const id of ["set-up", "options"]) byId(id, HTMLButtonElement).addEventListener("click", openOptions);
subscribe(showSettings);
follow(showStatus);
showSettings(await load());
showStatus(await read());
setInterval(showRetry, 1000);
document.body.dataset.ready = "";
