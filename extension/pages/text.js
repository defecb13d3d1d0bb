/** Texts for the pages: status, times, working hours. No DOM. */

/** @typedef {import("../shared/types.js").Status} Status */
/** @typedef {import("../shared/types.js").Operation} Operation */
/** @typedef {{label: string, tone: "" | "good" | "warn" | "bad" | "busy", sentence: string}} StatusText */

/** @type {Record<Operation, string>} */
const OPERATION_NAMES = { "image-variation": "variations of pictures", "image-edit": "edits with a mask" };
const ENDS_PAUSE = "A change of the generator's settings or a test picture ends the pause.";

/** @type {Record<Exclude<Status["state"], "connected">, StatusText>} */
const NOT_CONNECTED = {
  unset: { label: "Not set up", tone: "", sentence: "Enter the address of your server." },
  connecting: { label: "Connecting", tone: "busy", sentence: "Connecting to the server." },
  waiting: { label: "Not connected", tone: "warn", sentence: "The server cannot be reached." },
  refused: { label: "Refused", tone: "bad", sentence: "The server rejected this browser." },
};

/** @type {Record<Status["notTaking"], StatusText>} */
const CONNECTED = {
  "": { label: "Connected", tone: "good", sentence: "Ready for work." },
  "paused": { label: "Paused", tone: "warn", sentence: "Connected, but no new jobs are accepted until you resume." },
  "hours": { label: "Off hours", tone: "warn", sentence: "Connected. Jobs are accepted again during working hours." },
  "providers": { label: "No generator", tone: "bad", sentence: "Connected, but no generator is enabled." },
  "setup": { label: "Not ready", tone: "bad", sentence: "Connected, but no generator has all that it needs." },
  "resting": { label: "Resting", tone: "warn", sentence: "Connected. Jobs are accepted again after a pause." },
};

/**
 * A label for the state, and a sentence that explains it.
 *
 * @param {Status} status
 * @returns {StatusText}
 */
export function statusText(status) {
  if (status.state !== "connected") {
    const known = NOT_CONNECTED[status.state];
    return { ...known, sentence: status.why || known.sentence };
  }
  const known = CONNECTED[status.notTaking];
  const pause = status.serverPause;
  if (status.taking && pause && pause.until > Date.now()) return serverPauseText(pause);
  return status.taking && status.jobs.length > 0 ? { ...known, sentence: describeJobs(status.jobs.length) } : known;
}

/** @param {NonNullable<Status["serverPause"]>} pause  @returns {StatusText} */
function serverPauseText({ until, reason }) {
  const what = `The server sends no jobs until ${timeText(until)}${reason ? ` after a failure: ${reason}` : "."}`;
  return { label: "Resting", tone: "warn", sentence: `${what} ${ENDS_PAUSE}` };
}

/** A time of day. @param {number} at  ms since the epoch */
function timeText(at) {
  return new Date(at).toLocaleTimeString([], { timeStyle: "medium" });
}

/** @param {number} jobs */
function describeJobs(jobs) {
  return jobs === 1 ? "Working on one job." : `Working on ${jobs} jobs.`;
}

/**
 * Why a provider takes no jobs, and until when.
 *
 * @param {import("../shared/types.js").ProviderState} state
 */
export function pauseText({ problem, pausedUntil }) {
  if (pausedUntil === undefined) return problem;
  const until = timeText(pausedUntil);
  return `Paused until ${until} after a failure: ${problem} ${ENDS_PAUSE}`;
}

/**
 * When the next connection attempt is; empty if unknown.
 *
 * @param {Status} status
 * @param {number} now  ms since the epoch
 */
export function retryText(status, now) {
  if (status.retryAt === undefined || status.state === "connected" || status.state === "connecting") return "";
  const seconds = Math.ceil((status.retryAt - now) / 1000);
  if (seconds <= 0) return "Trying again now";
  return `Trying again in ${formatDuration(seconds)}`;
}

/** A short text for a duration. @param {number} seconds */
export function formatDuration(seconds) {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
export const WEEK = [1, 2, 3, 4, 5, 6, 0].map((day) => ({ day, name: DAYS[day], short: DAYS[day].slice(0, 3) }));

/**
 * A sentence that describes the working hours.
 *
 * @param {import("../shared/types.js").WorkingHours} hours
 */
export function workingHoursText({ enabled, days, from, to }) {
  if (!enabled) return "Jobs are accepted at any time.";
  const nextDay = from > to ? " on the next day" : "";
  const span = from === to ? `for 24 hours from ${from}` : `from ${from} to ${to}${nextDay}`;
  return `Jobs are accepted ${daysText(days)}, ${span}, in this computer's time zone.`;
}

/** @param {number[]} days */
function daysText(days) {
  const chosen = WEEK.filter(({ day }) => days.includes(day));
  if (chosen.length === 7) return "every day";
  if (chosen.length === 0) return "on no day";
  const first = WEEK.indexOf(chosen[0]);
  const isRange = chosen.every((each, index) => WEEK[first + index] === each);
  if (isRange && chosen.length > 2) return `${chosen[0].name} to ${chosen[chosen.length - 1].name}`;
  return new Intl.ListFormat("en", { type: "conjunction" }).format(chosen.map(({ name }) => name));
}

/** What a generator can do with input pictures; empty if nothing. @param {Operation[]} operations */
export function operationsText(operations) {
  const names = operations.map((operation) => OPERATION_NAMES[operation]);
  return names.length > 0 ? `Also makes ${names.join(" and ")}.` : "";
}

/** A file size. @param {number} bytes */
export function formatSize(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
