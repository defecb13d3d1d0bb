/**
 * Chrome stops a service worker after 30 s without an event or an extension API call, even if promises are pending.
 * Heartbeats prevent that while the socket is open; this does for work that continues without one.
 */

const INTERVAL_MS = 20_000;

let pending = 0;
/** @type {ReturnType<typeof setInterval> | undefined} */
let timer;

/**
 * Keep the worker running until the promise settles.
 *
 * @template T
 * @param {Promise<T>} work
 * @returns {Promise<T>}
 */
export async function keepAlive(work) {
  pending += 1;
  timer ??= setInterval(() => void chrome.runtime.getPlatformInfo(), INTERVAL_MS);
  try {
    return await work;
  } finally {
    pending -= 1;
    if (pending === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  }
}
