/** How a page asks the worker for something. */

/** @typedef {import("./types.js").Ask} Ask */

/**
 * The worker's answer. Rejects with an Error whose message is a sentence for the user.
 *
 * @param {Ask} question
 * @returns {Promise<any>}
 */
export async function ask(question) {
  const answer = await chrome.runtime.sendMessage(question);
  if (!answer?.ok) throw new Error(answer?.error ?? "The extension did not answer.");
  return answer;
}
