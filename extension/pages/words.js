/** What the pages say of the extension's state: words alone, no elements. */

/** @typedef {import("../shared/types.js").Status} Status */
/** @typedef {{label: string, tone: "" | "good" | "warn" | "bad" | "busy", sentence: string}} Saying */

/** @type {Record<Exclude<Status["state"], "connected">, Saying>} */
const NOT_CONNECTED = {
  unset: { label: "Not set up", tone: "", sentence: "Tell the extension which server it works for." },
  connecting: { label: "Connecting", tone: "busy", sentence: "Connecting to the server." },
  waiting: { label: "Not connected", tone: "warn", sentence: "The server cannot be reached." },
  refused: { label: "Refused", tone: "bad", sentence: "The server does not let this browser in." },
};

/** @type {Record<Status["notTaking"], Saying>} */
const CONNECTED = {
  "": { label: "Connected", tone: "good", sentence: "Ready for work." },
  "paused": { label: "Paused", tone: "warn", sentence: "Connected, but new work is refused until you go on." },
  "hours": { label: "Off hours", tone: "warn", sentence: "Connected. Work is taken again in the working hours." },
  "providers": { label: "No generator", tone: "bad", sentence: "Connected, but no generator is switched on." },
};

/**
 * A word for the state, and a sentence that explains it.
 *
 * @param {Status} status
 * @returns {Saying}
 */
export function saying(status) {
  if (status.state !== "connected") {
    const known = NOT_CONNECTED[status.state];
    return { ...known, sentence: status.why || known.sentence };
  }
  const known = CONNECTED[status.notTaking];
  return status.taking && status.jobs.length > 0 ? { ...known, sentence: working(status.jobs.length) } : known;
}

/** @param {number} jobs */
function working(jobs) {
  return jobs === 1 ? "Working on one job." : `Working on ${jobs} jobs.`;
}

/**
 * When the server is tried again; empty where that is not known.
 *
 * @param {Status} status
 * @param {number} now  ms since the epoch
 */
export function retryWords(status, now) {
  if (status.retryAt === undefined || status.state === "connected" || status.state === "connecting") return "";
  const seconds = Math.ceil((status.retryAt - now) / 1000);
  if (seconds <= 0) return "Trying again now";
  return `Trying again in ${lasting(seconds)}`;
}

/** A time in words that a glance takes in. @param {number} seconds */
export function lasting(seconds) {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Today, as `Status.today.date` writes it. @param {Date} now */
export function dateOf(now) {
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}

/**
 * What was done today: yesterday's numbers stay in the status until the first job of a new day.
 *
 * @param {Status} status
 * @param {Date} now
 */
export function today(status, now) {
  return status.today.date === dateOf(now) ? status.today : { date: dateOf(now), done: 0, failed: 0 };
}

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
export const WEEK = [1, 2, 3, 4, 5, 6, 0].map((day) => ({ day, name: DAYS[day], short: DAYS[day].slice(0, 3) }));

/**
 * The working hours, read back to the user.
 *
 * @param {import("../shared/types.js").WorkingHours} hours
 */
export function hoursWords({ enabled, days, from, to }) {
  if (!enabled) return "Work is taken at any time.";
  const over = from > to ? " of the next day" : "";
  const span = from === to ? `for 24 hours from ${from}` : `from ${from} to ${to}${over}`;
  return `Work is taken ${daysWords(days)}, ${span}, by this computer's clock.`;
}

/** @param {number[]} days */
function daysWords(days) {
  const chosen = WEEK.filter(({ day }) => days.includes(day));
  if (chosen.length === 7) return "every day";
  if (chosen.length === 0) return "on no day";
  const first = WEEK.indexOf(chosen[0]);
  const inARow = chosen.every((each, index) => WEEK[first + index] === each);
  if (inARow && chosen.length > 2) return `${chosen[0].name} to ${chosen[chosen.length - 1].name}`;
  return new Intl.ListFormat("en", { type: "conjunction" }).format(chosen.map(({ name }) => name));
}

/** The size of a file. @param {number} bytes */
export function sizeWords(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
