/** Translates states of a page into Failures. */

import { Failure } from "../shared/failures.js";
import { contentRejected, NEEDS_USER_MS } from "./http_failures.js";
import { shorten } from "./text.js";

const RATE_LIMIT_MS = 5 * 60_000;

/**
 * @param {{name: string, text: string}} state
 * @param {import("./page_recipe.js").StateMatcher} matcher  the one that matched
 * @param {string} host
 * @returns {Failure}
 */
export function failureForState({ name, text }, { retryAfterMs }, host) {
  const message = shorten(text);
  switch (name) {
    case "refused": return contentRejected(host, message);
    case "rateLimited": return new Failure("Rate limit exceeded", {
      reason: message || `${host} accepts no more requests for now.`,
      code: "ERR_RATE_LIMIT",
      retryAfterMs: retryAfterMs ?? RATE_LIMIT_MS,
    });
    case "captcha": return new Failure("The page shows a captcha", {
      reason: `${host} shows a captcha. Open the page in this browser and solve it.`,
      retryAfterMs: retryAfterMs ?? NEEDS_USER_MS,
    });
    default: return new Failure("Not signed in", {
      reason: `${host} requires a login. Sign in with this browser.`,
      retryAfterMs: retryAfterMs ?? NEEDS_USER_MS,
    });
  }
}
