/** The popup: the connection's status, the current jobs, and a switch to pause. */

import { countsToday } from "../../shared/days.js";
import { load, subscribe } from "../../shared/settings.js";
import { read, subscribe as subscribeToStatus } from "../../shared/status.js";
import { sendToWorker } from "../../shared/worker_requests.js";
import { byId, make, setChildren, setText } from "../dom.js";
import { pauseText, retryText, statusText } from "../text.js";
import { showJobs } from "./job_list.js";

/** @typedef {import("../../shared/types.js").Settings} Settings */
/** @typedef {import("../../shared/types.js").Status} Status */

const pauseSwitch = byId("paused", HTMLInputElement);
const retryButton = byId("again", HTMLButtonElement);
const setUpButton = byId("set-up", HTMLButtonElement);
const serverPage = byId("server-page", HTMLAnchorElement);
const jobList = byId("job-list", HTMLUListElement);

/** @type {Status} */
let status;

/** @param {Settings} settings */
function showSettings(settings) {
  pauseSwitch.checked = settings.paused;
  const { server, extensionId } = settings;
  setText(byId("server", HTMLElement), server && `${extensionId} at ${server}`);
  serverPage.hidden = !server;
  if (server) serverPage.href = `${server}/`;
}

/** @param {Status} current */
function showStatus(current) {
  status = current;
  const { label, tone, sentence } = statusText(current);
  setText(byId("state", HTMLElement), label, tone);
  setText(byId("sentence", HTMLElement), sentence);
  setUpButton.hidden = current.state !== "unset";
  byId("pause-row", HTMLElement).hidden = current.state === "unset";
  byId("again-row", HTMLElement).hidden = !["waiting", "refused"].includes(current.state);
  showRetry();
  byId("jobs", HTMLElement).hidden = current.jobs.length === 0;
  showJobs(jobList, current.jobs);
  showProviders(current);
  showFailure(current);
  showCounts(current);
}

/** The generators that take no jobs, with the reasons. @param {Status} current */
function showProviders({ providers }) {
  const list = byId("trouble-list", HTMLElement);
  byId("troubles", HTMLElement).hidden = providers.length === 0;
  const shown = JSON.stringify(providers);
  if (list.dataset.shown === shown) return;
  list.dataset.shown = shown;
  setChildren(list, ...providers.map((state) => {
    return make("div", {}, make("dt", {}, state.name), make("dd", {}, pauseText(state)));
  }));
}

/** @param {Status} current */
function showFailure({ failure }) {
  byId("failure", HTMLElement).hidden = !failure;
  if (!failure) return;
  setText(byId("failure-model", HTMLElement), `Failed: ${failure.model}`);
  setText(byId("failure-when", HTMLElement), new Date(failure.at).toLocaleTimeString([], { timeStyle: "short" }));
  setText(byId("failure-reason", HTMLElement), failure.reason);
}

function showRetry() {
  setText(byId("retry", HTMLElement), retryText(status, Date.now()));
}

/** @param {Status} current */
function showCounts(current) {
  const { done, failed } = countsToday(current.today, new Date());
  setText(byId("done", HTMLElement), String(done));
  setText(byId("failed", HTMLElement), String(failed), failed > 0 ? "bad" : "");
  setText(byId("unsent", HTMLElement), String(current.unsent), current.unsent > 0 ? "warn" : "");
}

/** @param {import("../../shared/types.js").WorkerRequest} request */
async function send(request) {
  const problem = byId("problem", HTMLElement);
  setText(problem, "");
  try {
    await sendToWorker(request);
    return true;
  } catch (error) {
    setText(problem, error instanceof Error ? error.message : String(error));
    return false;
  }
}

async function retryNow() {
  retryButton.disabled = true;
  await send({ type: "connect" });
  retryButton.disabled = false;
}

async function pause() {
  const isPaused = pauseSwitch.checked;
  if (!await send({ type: "pause", paused: isPaused })) pauseSwitch.checked = !isPaused;
}

function openOptions() {
  chrome.runtime.openOptionsPage();
  window.close();
}

retryButton.addEventListener("click", retryNow);
pauseSwitch.addEventListener("change", pause);
for (const id of ["set-up", "options"]) byId(id, HTMLButtonElement).addEventListener("click", openOptions);
subscribe(showSettings);
subscribeToStatus(showStatus);
showSettings(await load());
showStatus(await read());
setInterval(showRetry, 1000);
document.body.dataset.ready = "";
