/** What an answer means that is not the one hoped for, in the terms of the protocol. */

import { Failure } from "../worker/failures.js";
import { brief } from "./words.js";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;
/** How long this browser gets no more work of the kind where a person has to put something right first. */
export const UNTIL_SEEN_TO_MS = 15 * MINUTE;

/** @typedef {import("./http.js").Answer} Answer */

/**
 * The Failure for a status that is no success.
 *
 * @param {Answer} answer
 * @param {string} [words]  what the generator says of it
 * @returns {Failure}
 */
export function failureOf({ status, host, headers }, words = "") {
  const said = words ? `: ${brief(words)}` : ".";
  if (status === 401 || status === 403) {
    const reason = `${host} does not accept what the options say for it to be let in (${status})${said}`;
    return new Failure("Not let in by the generator", { reason, retryAfterMs: UNTIL_SEEN_TO_MS });
  }
  if (status === 429) return overrun(host, waitOf(headers) ?? MINUTE, said);
  if (status === 408 || status === 504) {
    const reason = `${host} gave up (${status})${said}`;
    return new Failure("The generator took too long", { reason, code: "ERR_TIMEOUT" });
  }
  if (status >= 500) {
    const reason = `${host} has a fault of its own (${status})${said}`;
    return new Failure("The generator failed", { reason, retryAfterMs: waitOf(headers) });
  }
  return wrong(status, host, said);
}

/**
 * Content that the generator will not make. No other try makes it good.
 *
 * @param {string} host
 * @param {string} [words]
 */
export function contentRefused(host, words) {
  const reason = brief(words || `${host} refuses to make this picture.`);
  return new Failure("The prompt was refused", { reason, code: "ERR_INVALID_PROMPT", retryable: false });
}

/**
 * How long an answer asks to be left alone, in ms.
 *
 * @param {Headers} headers
 * @returns {number | undefined}
 */
export function waitOf(headers) {
  const exact = Number(headers.get("retry-after-ms"));
  if (exact > 0) return within(exact);
  const value = headers.get("retry-after");
  if (!value) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * SECOND : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : within(ms);
}

/** @type {(ms: number) => number} */
function within(ms) {
  return Math.ceil(Math.min(DAY, Math.max(SECOND, ms)));
}

/** @type {(host: string, retryAfterMs: number, said: string) => Failure} */
function overrun(host, retryAfterMs, said) {
  const reason = `${host} takes no more for now${said}`;
  return new Failure("Rate limit exceeded", { reason, code: "ERR_RATE_LIMIT", retryAfterMs });
}

/** @type {(status: number, host: string, said: string) => Failure} */
function wrong(status, host, said) {
  if (status === 404 || status === 405) {
    const reason = `${host} has no such address or model (${status})${said}`;
    return new Failure("The generator is set up wrongly", { reason, retryAfterMs: UNTIL_SEEN_TO_MS });
  }
  if (status < 400) return new Failure("Unreadable answer", { reason: `${host} answered with ${status}${said}` });
  const reason = `${host} cannot do what is asked (${status})${said}`;
  return new Failure("The generator declined the request", { reason, retryable: false });
}
