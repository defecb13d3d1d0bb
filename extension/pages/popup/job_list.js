/** The list of current jobs. Each job keeps its element, so that screen readers do not announce it again. */

import { make, setText } from "../dom.js";

/** @typedef {import("../../shared/types.js").JobSummary} JobSummary */

/** @param {HTMLElement} list @param {JobSummary[]} jobs */
export function showJobs(list, jobs) {
  const existing = new Map([...list.children].map((item) => [item.getAttribute("data-job"), item]));
  const items = jobs.map((job) => {
    const item = existing.get(job.requestId) ?? newItem(job);
    updateItem(item, job);
    return item;
  });
  const same = items.length === existing.size && items.every((item, index) => list.children[index] === item);
  if (!same) list.replaceChildren(...items);
}

/** @param {JobSummary} job */
function newItem({ requestId, model, prompt }) {
  const name = `job-${requestId}`;
  return make("li", { "class": "job", "data-job": requestId },
    make("p", { id: name, class: "job-prompt", title: prompt }, prompt),
    make("progress", { "max": 100, "aria-labelledby": name }),
    make("p", { class: "job-foot" },
      make("span", {}, make("span", { class: "job-model" }, model), make("span", { "data-part": "words" })),
      make("span", { "data-part": "percent" })));
}

/** @param {Element} item @param {JobSummary} job */
function updateItem(item, { progress, words, stage }) {
  const percent = Math.round(progress);
  const bar = item.querySelector("progress");
  if (bar) bar.value = percent;
  setPart(item, "percent", `${percent} %`);
  setPart(item, "words", stage === "sending" ? "Sending the pictures" : words);
}

/** @param {Element} item @param {string} name @param {string} text */
function setPart(item, name, text) {
  const element = item.querySelector(`[data-part="${name}"]`);
  if (element) setText(element, text);
}
