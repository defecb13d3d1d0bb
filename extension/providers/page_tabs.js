/** Background tabs for recipes. Tabs that a stopped worker left open are closed by the next one. */

const KEY = "pageTabs";

/** The tabs that this worker opened. @type {Set<number>} */
const openTabs = new Set();
let closedLeftovers = false;

/**
 * @param {string} url
 * @returns {Promise<number>}  the tab's id
 */
export async function openTab(url) {
  await closeLeftovers();
  const id = await create(url);
  openTabs.add(id);
  await store();
  // A discarded tab would never finish.
  await chrome.tabs.update(id, { autoDiscardable: false }).catch(() => undefined);
  return id;
}

/** @param {number} id */
export async function closeTab(id) {
  openTabs.delete(id);
  await chrome.tabs.remove(id).catch(() => undefined);
  await store();
}

async function closeLeftovers() {
  if (closedLeftovers) return;
  closedLeftovers = true;
  const stored = (await chrome.storage.session.get(KEY))[KEY];
  for (const id of Array.isArray(stored) ? stored : []) {
    if (!openTabs.has(id)) await chrome.tabs.remove(id).catch(() => undefined);
  }
}

async function store() {
  await chrome.storage.session.set({ [KEY]: [...openTabs] });
}

/**
 * Without a window, for example when the browser runs in the background, a new window is needed.
 *
 * @param {string} url
 */
async function create(url) {
  try {
    return Number((await chrome.tabs.create({ url, active: false })).id);
  } catch {
    const window = await chrome.windows.create({ url, focused: false });
    return Number(window?.tabs?.[0]?.id);
  }
}
