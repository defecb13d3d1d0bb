/** The worker's status, for the pages to read. Only the worker writes it (worker/status_store.js). */

/** @typedef {import("./types.js").Status} Status */

export const STATUS_KEY = "status";

/** @returns {Status} */
export function initialStatus() {
  return {
    state: "connecting",
    why: "",
    since: Date.now(),
    taking: false,
    notTaking: "",
    providers: [],
    jobs: [],
    unsent: 0,
    today: { date: "", done: 0, failed: 0 },
  };
}

/** @returns {Promise<Status>} */
export async function read() {
  const stored = await chrome.storage.session.get(STATUS_KEY);
  return { ...initialStatus(), .../** @type {object} */ (stored[STATUS_KEY]) };
}

/**
 * Call the listener after every change. Returns a function that unsubscribes.
 *
 * @param {(status: Status) => void} listener
 */
export function subscribe(listener) {
  /** @param {Record<string, chrome.storage.StorageChange>} changes @param {string} area */
  const onChanged = (changes, area) => {
    if (area === "session" && changes[STATUS_KEY]?.newValue) {
      listener({ ...initialStatus(), .../** @type {object} */ (changes[STATUS_KEY].newValue) });
    }
  };
  chrome.storage.onChanged.addListener(onChanged);
  return () => chrome.storage.onChanged.removeListener(onChanged);
}
