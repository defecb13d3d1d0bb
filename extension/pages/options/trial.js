/** The section in which a provider makes a picture to try it out. */

import { ask } from "../../shared/asks.js";
import { byId, fill, make, say } from "../dom.js";
import { lasting, sizeWords } from "../words.js";
import { mark, sentenceOf } from "./form.js";

/** @typedef {import("../../shared/types.js").Settings} Settings */
/** @typedef {import("../../shared/types.js").Status} Status */

const choice = byId("trial-provider", HTMLSelectElement);
const prompt = byId("trial-prompt", HTMLInputElement);
const button = byId("trial-start", HTMLButtonElement);
const said = byId("trial-said", HTMLElement);
const bar = byId("trial-progress", HTMLProgressElement);
const result = byId("trial-result", HTMLElement);
const picture = byId("trial-picture", HTMLImageElement);

/** The provider that is at work for this page. */
let working = "";

export function start() {
  byId("trial-form", HTMLFormElement).addEventListener("submit", submit);
  prompt.addEventListener("input", () => mark(prompt, ""));
}

/** @param {Settings} settings */
export function showSettings({ providers }) {
  const chosen = choice.value;
  fill(choice, ...providers.map(({ id, name }) => make("option", { value: id }, name)));
  if (providers.some(({ id }) => id === chosen)) choice.value = chosen;
  button.disabled = providers.length === 0 || working !== "";
}

/** @param {Status} status */
export function showStatus({ trial }) {
  if (!working || trial?.providerId !== working) return;
  bar.value = trial.progress;
  say(said, trial.words || "Working …");
}

/** @param {SubmitEvent} event */
async function submit(event) {
  event.preventDefault();
  if (!prompt.value.trim()) {
    mark(prompt, "Say what the picture is to show.");
    prompt.focus();
    return;
  }
  begin();
  const started = Date.now();
  try {
    const answer = await ask({ ask: "test", providerId: choice.value, prompt: prompt.value.trim() });
    await show(answer.picture, Math.max(1, Math.round((Date.now() - started) / 1000)));
    end("Done.", "good");
  } catch (problem) {
    end(sentenceOf(problem), "bad");
  }
}

function begin() {
  working = choice.value;
  button.disabled = true;
  result.hidden = true;
  bar.hidden = false;
  bar.removeAttribute("value");
  say(said, "Working …");
}

/** @param {string} words @param {string} tone */
function end(words, tone) {
  working = "";
  button.disabled = false;
  bar.hidden = true;
  say(said, words, tone);
}

/** @param {string} address  a data: URL @param {number} seconds */
async function show(address, seconds) {
  picture.src = address;
  picture.alt = prompt.value.trim();
  await picture.decode();
  const bytes = Math.floor((address.length - address.indexOf(",") - 1) * 0.75);
  const size = `${picture.naturalWidth} × ${picture.naturalHeight} px, ${sizeWords(bytes)}`;
  say(byId("trial-caption", HTMLElement), `${size}, made in ${lasting(seconds)} by ${choice.selectedOptions[0].text}.`);
  result.hidden = false;
}
