/** The section to make a test picture with a provider. */

import { sendToWorker } from "../../shared/worker_requests.js";
import { byId, make, setChildren, setText } from "../dom.js";
import { formatDuration, formatSize } from "../text.js";
import { errorText, showProblem } from "./form.js";

/** @typedef {import("../../shared/types.js").Settings} Settings */
/** @typedef {import("../../shared/types.js").Status} Status */

const choice = byId("trial-provider", HTMLSelectElement);
const prompt = byId("trial-prompt", HTMLInputElement);
const button = byId("trial-start", HTMLButtonElement);
const message = byId("trial-message", HTMLElement);
const bar = byId("trial-progress", HTMLProgressElement);
const result = byId("trial-result", HTMLElement);
const picture = byId("trial-picture", HTMLImageElement);

/** The provider that is making a picture for this page; empty if none is. */
let runningProviderId = "";

export function start() {
  byId("trial-form", HTMLFormElement).addEventListener("submit", submit);
  prompt.addEventListener("input", () => showProblem(prompt, ""));
}

/** @param {Settings} settings */
export function showSettings({ providers }) {
  const chosen = choice.value;
  setChildren(choice, ...providers.map(({ id, name }) => make("option", { value: id }, name)));
  if (providers.some(({ id }) => id === chosen)) choice.value = chosen;
  button.disabled = providers.length === 0;
}

/** @param {Status} status */
export function showStatus({ trial }) {
  if (!runningProviderId || trial?.providerId !== runningProviderId) return;
  bar.value = trial.progress;
  setText(message, trial.words || "Working …");
}

/** @param {SubmitEvent} event */
async function submit(event) {
  event.preventDefault();
  if (runningProviderId) return;
  if (!prompt.value.trim()) {
    showProblem(prompt, "Describe the picture.");
    prompt.focus();
    return;
  }
  begin();
  const started = Date.now();
  try {
    const response = await sendToWorker({ type: "test", providerId: choice.value, prompt: prompt.value.trim() });
    await show(response, Math.max(1, Math.round((Date.now() - started) / 1000)));
    end("Done.", "good");
  } catch (problem) {
    end(errorText(problem), "bad");
  }
}

function begin() {
  runningProviderId = choice.value;
  // A button that is disabled would lose the focus.
  button.ariaDisabled = "true";
  result.hidden = true;
  bar.hidden = false;
  bar.removeAttribute("value");
  setText(message, "Working …");
}

/** @param {string} text @param {string} tone */
function end(text, tone) {
  runningProviderId = "";
  button.ariaDisabled = null;
  bar.hidden = true;
  setText(message, text, tone);
}

/** @param {{picture: string, seed?: number | string}} made  with a data: URL @param {number} seconds */
async function show({ picture: address, seed }, seconds) {
  picture.src = address;
  picture.alt = prompt.value.trim();
  await picture.decode();
  const bytes = Math.floor((address.length - address.indexOf(",") - 1) * 0.75);
  const size = `${picture.naturalWidth} × ${picture.naturalHeight} px, ${formatSize(bytes)}`;
  const origin = seed === undefined ? "" : ` with the seed ${seed}`;
  const caption = `${size}, made in ${formatDuration(seconds)} by ${choice.selectedOptions[0].text}${origin}.`;
  setText(byId("trial-caption", HTMLElement), caption);
  result.hidden = false;
}
