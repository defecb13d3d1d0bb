/** The section with pause, concurrency and working hours. Every change is saved immediately. */

import { InvalidSettings, save } from "../../shared/settings.js";
import { byId, make, setChildren, setText } from "../dom.js";
import { WEEK, workingHoursText } from "../text.js";
import { errorText, showProblems } from "./form.js";

/** @typedef {import("../../shared/types.js").Settings} Settings */

const paused = byId("paused", HTMLInputElement);
const concurrency = byId("concurrency", HTMLInputElement);
const enabled = byId("hours-enabled", HTMLInputElement);
const days = byId("days", HTMLFieldSetElement);
const from = byId("hours-from", HTMLInputElement);
const to = byId("hours-to", HTMLInputElement);
const controls = { concurrency, "hours.days": days, "hours.from": from, "hours.to": to };

export function start() {
  setChildren(byId("day-list", HTMLElement), ...WEEK.map(({ day, name, short }) => make("label", { class: "day" },
    make("input", { "type": "checkbox", "name": "day", "value": String(day), "aria-label": name }),
    make("span", {}, short))));
  const form = byId("work-form", HTMLFormElement);
  form.addEventListener("change", saveForm);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    saveForm();
  });
}

/** @param {Settings} settings */
export function showSettings(settings) {
  paused.checked = settings.paused;
  // Invalid input stays until the user corrects it.
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
  showDescription(hours);
}

/** @param {Settings["hours"]} hours */
function showDescription(hours) {
  byId("hours-more", HTMLElement).hidden = !hours.enabled;
  setText(byId("hours-words", HTMLElement), workingHoursText(hours));
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

async function saveForm() {
  const message = byId("work-message", HTMLElement);
  const typed = read();
  showDescription(typed.hours);
  setText(message, "");
  try {
    await save(typed);
    showProblems(controls, {});
    setText(message, "Saved.", "good");
  } catch (problem) {
    const shown = problem instanceof InvalidSettings && !showProblems(controls, problem.problems);
    setText(message, shown ? "Not saved: please correct the fields above." : errorText(problem), "bad");
  }
}
