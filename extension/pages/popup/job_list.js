/** The jobs in hand. A job keeps its element while it is there, so that its bar moves and nothing is read out twice. */

import { make, say } from "../dom.js";

/** @typedef {import("../../shared/types.js").ShownJob} ShownJob */

/** @param {HTMLElement} list @param {ShownJob[]} jobs */
export function showJobs(list, jobs) {
  const here = new Map([...list.children].map((item) => [item.getAttribute("data-job"), item]));
  const items = jobs.map((job) => {
    const item = here.get(job.requestId) ?? newItem(job);
    update(item, job);
    return item;
  });
  const same = items.length === here.size && items.every((item, index) => list.children[index] === item);
  if (!same) list.replaceChildren(...items);
}

/** @param {ShownJob} job */
function newItem({ requestId, model, prompt }) {
  const name = `job-${requestId}`;
  return make("li", { "class": "job", "data-job": requestId },
    make("p", { id: name, class: "job-prompt", title: prompt }, prompt),
    make("progress", { "max": 100, "aria-labelledby": name }),
    make("p", { class: "job-foot" },
      make("span", {}, make("span", { class: "job-model" }, model), make("span", { "data-part": "words" })),
      make("span", { "data-part": "percent" })));
}

/** @param {Element} item @param {ShownJob} job */
function update(item, { progress, words, stage }) {
  const percent = Math.round(progress);
  const bar = item.querySelector("progress");
  if (bar) bar.value = percent;
  part(item, "percent", `${percent} %`);
  part(item, "words", stage === "sending" ? "Sending the pictures" : words);
}

/** @param {Element} item @param {string} name @param {string} text */
function part(item, name, text) {
  const place = item.querySelector(`[data-part="${name}"]`);
  if (place) say(place, text);
}
