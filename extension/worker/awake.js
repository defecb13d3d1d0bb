/**
 * Chrome ends a worker that has had no event and no call for 30 s, whatever it waits for. Heartbeats prevent that while
 * there is a connection; work that goes on without one is held up by this.
 */

const EVERY_MS = 20_000;

let held = 0;
/** @type {ReturnType<typeof setInterval> | undefined} */
let timer;

/**
 * Stay awake until the work is over.
 *
 * @template T
 * @param {Promise<T>} work
 * @returns {Promise<T>}
 */
export async function stayAwake(work) {
  held += 1;
  timer ??= setInterval(() => void chrome.runtime.getPlatformInfo(), EVERY_MS);
  try {
    return await work;
  } finally {
    held -= 1;
    if (held === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  }
}
