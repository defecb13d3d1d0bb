/** Requests from the extension's pages to its service worker. */

/** @typedef {import("./types.js").WorkerRequest} WorkerRequest */

/**
 * Send a request and return the worker's response. Rejects with an Error whose message can be shown to the user.
 *
 * @param {WorkerRequest} request
 * @returns {Promise<any>}
 */
export async function sendToWorker(request) {
  const response = await chrome.runtime.sendMessage(request);
  if (!response?.ok) throw new Error(response?.error ?? "The extension did not respond.");
  return response;
}
