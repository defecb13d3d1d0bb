/** The section on how much is done, and when. Each change is saved as it is made. */

import { save, Unfit } from "../../shared/settings.js";
import { byId, fill, make, say } from "../dom.js";
import { hoursWords, WEEK } from "../words.js";
import { markAll, sentenceOf } from "./form.js";

/** @typedef {import("../../shared/types.js").Settings} Settings */

const paused = byId("paused", HTMLInputElement);
const concurrency = byId("concurrency", HTMLInputElement);
const enabled = byId("hours-enabled", HTMLInputElement);
const days = byId("days", HTMLFieldSetElement);
const from = byId("hours-from", HTMLInputElement);
const to = byId("hours-to", HTMLInputElement);
const controls = { concurrency, "hours.days": days, "hours.from": from, "hours.to": to };

export function start() {
  fill(byId("day-list", HTMLElement), ...WEEK.map(({ day, name, short }) => make("label", { class: "day" },
    make("input", { "type": "checkbox", "name": "day", "value": String(day), "aria-label": name }),
    make("span", {}, short))));
  const form = byId("work-form", HTMLFormElement);
  form.addEventListener("change", keep);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keep();
  });
}

/** @param {Settings} settings */
export function showSettings(settings) {
  paused.checked = settings.paused;
  // What is wrong stands there until it is put right.
  if (concurrency.ariaInvalid !== "true") concurrency.value = String(settings.concurrency);
  showHours(settings.hours);
}

/** @param {Settings["hours"]} hours */
function showHours(hours) {
  if (document.querySelector("#hours-more [aria-invalid]")) return;
  enabled.checked = hours.enabled;
  for (const box of boxes()) box.checked = hours.days.includes(Number(box.value));
  from.value = hours.from;
  to.value = hours.to;
  explain(hours);
}

/** @param {Settings["hours"]} hours */
function explain(hours) {
  byId("hours-more", HTMLElement).hidden = !hours.enabled;
  say(byId("hours-words", HTMLElement), hoursWords(hours));
}

/** @returns {HTMLInputElement[]} */
function boxes() {
  return [...days.querySelectorAll("input")];
}

function read() {
  const chosen = boxes().filter((box) => box.checked).map((box) => Number(box.value)).sort();
  return {
    paused: paused.checked,
    concurrency: Number(concurrency.value),
    hours: { enabled: enabled.checked, days: chosen, from: from.value, to: to.value },
  };
}

async function keep() {
  const said = byId("work-said", HTMLElement);
  const typed = read();
  explain(typed.hours);
  say(said, "");
  try {
    await save(typed);
    markAll(controls, {});
    say(said, "Saved.", "good");
  } catch (problem) {
    const shown = problem instanceof Unfit && !markAll(controls, problem.problems);
    say(said, shown ? "Not saved: something above is not right." : sentenceOf(problem), "bad");
  }
}
