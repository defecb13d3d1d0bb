/** Translates unsuccessful HTTP responses into Failures. */

import { Failure } from "../shared/failures.js";
import { retryAfterMs } from "../shared/retry_after.js";
import { shorten } from "./text.js";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;
/** How long this browser gets no more jobs of a kind if the user has to fix something first. */
export const NEEDS_USER_MS = 15 * MINUTE;

/** @typedef {import("./http.js").HttpResponse} HttpResponse */

/**
 * @param {HttpResponse} response
 * @param {string} [message]  the generator's error message
 * @returns {Failure}
 */
export function failureFromResponse({ status, host, headers }, message = "") {
  const detail = `(${status})${message ? `: ${shorten(message)}` : "."}`;
  if (status === 401 || status === 403) {
    const reason = `${host} rejected the key or password in the settings ${detail}`;
    return new Failure("Access denied by the generator", { reason, retryAfterMs: NEEDS_USER_MS });
  }
  if (status === 429) {
    const reason = `${host} accepts no more requests for now ${detail}`;
    return new Failure("Rate limit exceeded", {
      reason, code: "ERR_RATE_LIMIT", retryAfterMs: retryAfterOf(headers) ?? MINUTE,
    });
  }
  if (status === 408 || status === 504) {
    return new Failure("The generator took too long", { reason: `${host} timed out ${detail}`, code: "ERR_TIMEOUT" });
  }
  if (status >= 500) {
    const reason = `${host} had an internal error ${detail}`;
    return new Failure("The generator failed", { reason, retryAfterMs: retryAfterOf(headers) });
  }
  return clientError(status, host, detail);
}

/** @type {(status: number, host: string, detail: string) => Failure} */
function clientError(status, host, detail) {
  if (status === 404 || status === 405) {
    const reason = `${host} does not have this address or model ${detail}`;
    return new Failure("The generator is not set up correctly", { reason, retryAfterMs: NEEDS_USER_MS });
  }
  if (status < 400) return new Failure("Invalid response", { reason: `${host} sent an unexpected response ${detail}` });
  const reason = `${host} rejected the request ${detail}`;
  return new Failure("The generator rejected the request", { reason, retryable: false });
}

/**
 * Content that the generator refuses. It is not retried.
 *
 * @param {string} host
 * @param {string} [message]
 */
export function contentRejected(host, message) {
  const reason = shorten(message || `${host} refused to make this picture.`);
  return new Failure("The prompt was refused", { reason, code: "ERR_INVALID_PROMPT", retryable: false });
}

/**
 * The delay that a response requests before the next request, in ms; at least a second and at most a day.
 *
 * @param {Headers} headers
 * @returns {number | undefined}
 */
function retryAfterOf(headers) {
  const exact = Number(headers.get("retry-after-ms"));
  if (exact > 0) return clamp(exact);
  const ms = retryAfterMs(headers.get("retry-after"));
  return ms === undefined ? undefined : clamp(ms);
}

/** @type {(ms: number) => number} */
function clamp(ms) {
  return Math.ceil(Math.min(DAY, Math.max(SECOND, ms)));
}
