/** What the worker is doing, as pages read it. The worker alone writes it (worker/status.js). */

/** @typedef {import("./types.js").Status} Status */

export const STATUS_KEY = "status";

/** @returns {Status} */
export function nothingYet() {
  return {
    state: "connecting",
    why: "",
    since: Date.now(),
    taking: false,
    notTaking: "",
    jobs: [],
    unsent: 0,
    today: { date: "", done: 0, failed: 0 },
  };
}

/** @returns {Promise<Status>} */
export async function read() {
  const stored = await chrome.storage.session.get(STATUS_KEY);
  return { ...nothingYet(), .../** @type {object} */ (stored[STATUS_KEY]) };
}

/**
 * Be told of every change. Returns what ends that.
 *
 * @param {(status: Status) => void} listener
 */
export function subscribe(listener) {
  /** @param {Record<string, chrome.storage.StorageChange>} changes @param {string} area */
  const hear = (changes, area) => {
    if (area === "session" && changes[STATUS_KEY]?.newValue) {
      listener({ ...nothingYet(), .../** @type {object} */ (changes[STATUS_KEY].newValue) });
    }
  };
  chrome.storage.onChanged.addListener(hear);
  return () => chrome.storage.onChanged.removeListener(hear);
}
