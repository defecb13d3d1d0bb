/** What the states of a page mean for the job, and for this browser. */

import { Failure } from "../worker/failures.js";
import { contentRefused, UNTIL_SEEN_TO_MS } from "./refusals.js";
import { brief } from "./words.js";

const OVERRUN_MS = 5 * 60_000;

/**
 * @param {{name: string, words: string}} state  as it was seen
 * @param {import("./page_recipe.js").Sign} sign  by which it was
 * @param {string} host
 * @returns {Failure}
 */
export function failureOfState({ name, words }, { retryAfterMs }, host) {
  const said = brief(words);
  switch (name) {
    case "refused": return contentRefused(host, said);
    case "rateLimited": return new Failure("Rate limit exceeded", {
      reason: said || `${host} takes no more for now.`,
      code: "ERR_RATE_LIMIT",
      retryAfterMs: retryAfterMs ?? OVERRUN_MS,
    });
    case "captcha": return new Failure("The page asks for a person", {
      reason: `${host} wants to see a person: open it in this browser and answer it.`,
      retryAfterMs: retryAfterMs ?? UNTIL_SEEN_TO_MS,
    });
    default: return new Failure("Not signed in", {
      reason: `${host} wants somebody to sign in: do so in this browser.`,
      retryAfterMs: retryAfterMs ?? UNTIL_SEEN_TO_MS,
    });
  }
}
