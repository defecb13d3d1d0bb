/** The user's settings: stored in `chrome.storage.local`, validated here, read by the worker and the pages. */

import { normalizeServerUrl } from "./addresses.js";
import { InvalidSettings, validate } from "./settings_validation.js";

export { isUnencrypted } from "./addresses.js";
export { parsePairingCode } from "./pairing.js";
export { InvalidSettings, validate } from "./settings_validation.js";

/** @typedef {import("./types.js").Settings} Settings */

const KEY = "settings";
const LOCK = "imagefleet-settings";
const ID_BYTES = 6;

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
 * The current settings. The first call after installation creates them.
 *
 * @returns {Promise<Settings>}
 */
export async function load() {
  const settings = await read();
  return settings.extensionId ? settings : navigator.locks.request(LOCK, initialize);
}

/**
 * Change some settings and keep the others. Rejects with InvalidSettings if the result is not valid.
 *
 * @param {Partial<Settings>} changes
 * @returns {Promise<Settings>}
 */
export async function save(changes) {
  await load();
  return navigator.locks.request(LOCK, async () => {
    const settings = normalize({ ...await read(), ...changes });
    const problems = validate(settings);
    if (Object.keys(problems).length > 0) throw new InvalidSettings(problems);
    await chrome.storage.local.set({ [KEY]: settings });
    return settings;
  });
}

/**
 * Call the listener after every change, in this or any other page. Returns a function that unsubscribes.
 *
 * @param {(settings: Settings) => void} listener
 */
export function subscribe(listener) {
  /** @param {Record<string, chrome.storage.StorageChange>} changes @param {string} area */
  const onChanged = (changes, area) => {
    if (area === "local" && changes[KEY]) listener(withDefaults(changes[KEY].newValue));
  };
  chrome.storage.onChanged.addListener(onChanged);
  return () => chrome.storage.onChanged.removeListener(onChanged);
}

async function read() {
  const stored = await chrome.storage.local.get(KEY);
  return withDefaults(stored[KEY]);
}

/** Runs under the lock, because the worker and a page may both start for the first time. */
async function initialize() {
  const settings = await read();
  if (settings.extensionId) return settings;
  const created = { ...settings, extensionId: newExtensionId(), server: settings.server || await bundledServerUrl() };
  await chrome.storage.local.set({ [KEY]: created });
  return created;
}

function newExtensionId() {
  const bytes = [...crypto.getRandomValues(new Uint8Array(ID_BYTES))];
  return `chrome-${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** The server's address in a copy of the extension that was downloaded from a server; empty in any other copy. */
async function bundledServerUrl() {
  try {
    const response = await fetch(chrome.runtime.getURL("server.json"));
    return normalizeServerUrl(String((await response.json()).server ?? ""));
  } catch {
    return "";
  }
}

/**
 * Fill in fields that an older version did not store.
 *
 * @param {any} stored
 * @returns {Settings}
 */
function withDefaults(stored) {
  const { hours, ...others } = stored ?? {};
  return { ...structuredClone(DEFAULTS), ...others, hours: { ...DEFAULTS.hours, ...hours } };
}

/** @param {Settings} settings */
function normalize(settings) {
  const { server, token, extensionId } = settings;
  return {
    ...settings, server: normalizeServerUrl(server), token: token.trim(), extensionId: extensionId.trim(),
  };
}
