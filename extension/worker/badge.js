/** The badge and the tooltip of the extension's toolbar icon. */

/** @typedef {import("../shared/types.js").Status} Status */

/** @typedef {{text: string, colour: string, title: string}} Badge */

const GREEN = "#1a7f37";
const BLUE = "#0969da";
const AMBER = "#9a6700";
const RED = "#cf222e";
const GREY = "#59636e";

/** @type {Record<Exclude<Status["notTaking"], "">, string>} */
const NOT_TAKING = {
  paused: "Paused: not accepting new jobs.",
  hours: "Outside working hours: not accepting new jobs.",
  providers: "No generator is enabled: not accepting jobs.",
  setup: "No generator is set up completely: not accepting jobs.",
  resting: "The generators are paused after failures: not accepting new jobs.",
};

/** @param {Status} status  @returns {Badge} */
export function badgeFor(status) {
  switch (status.state) {
    case "unset": return { text: "set", colour: GREY, title: "Not set up yet: open the settings." };
    case "refused": return { text: "!", colour: RED, title: status.why };
    case "waiting": return { text: "…", colour: AMBER, title: `${status.why} Trying again.` };
    case "connecting": return { text: "…", colour: AMBER, title: status.why || "Connecting." };
    default: return connectedBadge(status);
  }
}

/** @param {Status} status  @returns {Badge} */
function connectedBadge({ jobs, notTaking }) {
  if (jobs.length > 0) return { text: String(jobs.length), colour: BLUE, title: workingTitle(jobs.length) };
  if (notTaking) return { text: "off", colour: GREY, title: NOT_TAKING[notTaking] };
  return { text: "on", colour: GREEN, title: "Connected and ready for work." };
}

/** @param {number} jobs */
function workingTitle(jobs) {
  return jobs === 1 ? "Working on one job." : `Working on ${jobs} jobs.`;
}

let last = "";

/** @param {Status} status */
export function showBadge(status) {
  const badge = badgeFor(status);
  const key = JSON.stringify(badge);
  if (key === last) return;
  last = key;
  void chrome.action.setBadgeText({ text: badge.text });
  void chrome.action.setBadgeBackgroundColor({ color: badge.colour });
  void chrome.action.setBadgeTextColor({ color: "#ffffff" });
  void chrome.action.setTitle({ title: `Imagefleet – ${badge.title}` });
}
