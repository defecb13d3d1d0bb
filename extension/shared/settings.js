/**
 * What the user decides: kept in `chrome.storage.local`, checked here, read by the worker and by the pages.
 */

import { newExtensionId } from "./names.js";
import { check, Unfit } from "./settings_check.js";
import { tidyServer } from "./addresses.js";

export { check, Unfit } from "./settings_check.js";
export { travelsInTheOpen } from "./addresses.js";
export { readPairing } from "./pairing.js";

/** @typedef {import("./types.js").Settings} Settings */

const KEY = "settings";
const LOCK = "imagefleet-settings";

/** @type {Settings} */
export const DEFAULTS = {
  server: "",
  token: "",
  extensionId: "",
  concurrency: 1,
  paused: false,
  hours: { enabled: false, days: [1, 2, 3, 4, 5], from: "09:00", to: "18:00" },
  providers: [{ id: "canvas", kind: "canvas", name: "Test pictures", enabled: true, models: ["*"], settings: {} }],
};

/**
 * The settings as they are; made at the first call ever.
 *
 * @returns {Promise<Settings>}
 */
export async function load() {
  const found = await read();
  return found.extensionId ? found : navigator.locks.request(LOCK, makeFirst);
}

/**
 * Change some settings, and leave the others. Rejects with Unfit where they would not be right.
 *
 * @param {Partial<Settings>} changes
 * @returns {Promise<Settings>}
 */
export async function save(changes) {
  await load();
  return navigator.locks.request(LOCK, async () => {
    const settings = tidy({ ...await read(), ...changes });
    const problems = check(settings);
    if (Object.keys(problems).length > 0) throw new Unfit(problems);
    await chrome.storage.local.set({ [KEY]: settings });
    return settings;
  });
}

/**
 * Be told of every change, wherever it is made. Returns what ends that.
 *
 * @param {(settings: Settings) => void} listener
 */
export function subscribe(listener) {
  /** @param {Record<string, chrome.storage.StorageChange>} changes @param {string} area */
  const hear = (changes, area) => {
    if (area === "local" && changes[KEY]) listener(complete(changes[KEY].newValue));
  };
  chrome.storage.onChanged.addListener(hear);
  return () => chrome.storage.onChanged.removeListener(hear);
}

async function read() {
  const stored = await chrome.storage.local.get(KEY);
  return complete(stored[KEY]);
}

/** Under the lock: the worker and a page that is open may both be the first. */
async function makeFirst() {
  const found = await read();
  if (found.extensionId) return found;
  const made = { ...found, extensionId: newExtensionId(), server: found.server || await packedServer() };
  await chrome.storage.local.set({ [KEY]: made });
  return made;
}

/** The address that the server wrote into the copy of the extension that it handed out, if it did. */
async function packedServer() {
  try {
    const answer = await fetch(chrome.runtime.getURL("server.json"));
    return tidyServer(String((await answer.json()).server ?? ""));
  } catch {
    return "";
  }
}

/**
 * What an older version stored lacks some fields.
 *
 * @param {any} stored
 * @returns {Settings}
 */
function complete(stored) {
  const { hours, ...others } = stored ?? {};
  return { ...structuredClone(DEFAULTS), ...others, hours: { ...DEFAULTS.hours, ...hours } };
}

/** @param {Settings} settings */
function tidy(settings) {
  const { server, token, extensionId } = settings;
  return { ...settings, server: tidyServer(server), token: token.trim(), extensionId: extensionId.trim() };
}
