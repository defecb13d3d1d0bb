/** Tabs in the background that recipes are worked through in: opened here, closed here, and never left behind. */

const KEY = "pageTabs";

/** Those of this life of the worker. @type {Set<number>} */
const open = new Set();
let tidied = false;

/**
 * @param {string} url
 * @returns {Promise<number>}
 */
export async function openTab(url) {
  await closeLeftovers();
  const id = await create(url);
  open.add(id);
  await remember();
  // One that is put to sleep for want of memory would never finish.
  await chrome.tabs.update(id, { autoDiscardable: false }).catch(() => undefined);
  return id;
}

/** @param {number} id */
export async function closeTab(id) {
  open.delete(id);
  await chrome.tabs.remove(id).catch(() => undefined);
  await remember();
}

/** What a worker that the browser ended in the middle of its work has left open. */
async function closeLeftovers() {
  if (tidied) return;
  tidied = true;
  const known = (await chrome.storage.session.get(KEY))[KEY];
  for (const id of Array.isArray(known) ? known : []) {
    if (!open.has(id)) await chrome.tabs.remove(id).catch(() => undefined);
  }
}

async function remember() {
  await chrome.storage.session.set({ [KEY]: [...open] });
}

/**
 * Without any window, as when the browser runs on in the background, there is nowhere for a tab to be.
 *
 * @param {string} url
 */
async function create(url) {
  try {
    return Number((await chrome.tabs.create({ url, active: false })).id);
  } catch {
    const made = await chrome.windows.create({ url, focused: false });
    return Number(made?.tabs?.[0]?.id);
  }
}
