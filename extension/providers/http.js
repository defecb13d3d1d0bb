/** Asking a generator over HTTP: never for too long, never for too much, and not at all once the work is unwanted. */

import { Failure } from "../worker/failures.js";
import { brief } from "./words.js";

const KIB = 1024;
const MIB = 1024 * KIB;
export const PICTURE_BYTES = 32 * MIB;
// A picture in base64, and what stands around it.
export const PICTURE_JSON_BYTES = 48 * MIB;

/**
 * @typedef {object} Question
 * @property {AbortSignal} signal
 * @property {string} [method]
 * @property {Record<string, string>} [headers]
 * @property {unknown} [json]  what is sent
 * @property {number} [timeoutMs]
 * @property {number} [maxBytes]  of the answer
 * @property {RequestCredentials} [credentials]  cookies are the user's own business with a site, and stay out of it
 */

/**
 * @typedef {object} Answer
 * @property {string} host  who answered
 * @property {number} status
 * @property {Headers} headers
 * @property {Uint8Array<ArrayBuffer>} bytes
 */

/**
 * One question. Whatever is answered is an answer, of any status. Rejects with a Failure where there is none, and with
 * the signal's reason once that is aborted.
 *
 * @param {string} url
 * @param {Question} question
 * @returns {Promise<Answer>}
 */
export async function ask(url, question) {
  const { signal, method = "GET", headers, json, timeoutMs = 30_000, maxBytes = MIB, credentials = "omit" } = question;
  signal.throwIfAborted();
  const { host } = new URL(url);
  const patience = AbortSignal.timeout(timeoutMs);
  /** @type {Record<string, string>} */
  const sent = json === undefined ? {} : { "Content-Type": "application/json" };
  try {
    const response = await fetch(url, {
      method,
      headers: { Accept: "application/json, image/*;q=0.9, */*;q=0.1", ...sent, ...headers },
      body: json === undefined ? undefined : JSON.stringify(json),
      credentials,
      cache: "no-store",
      signal: AbortSignal.any([signal, patience]),
    });
    return { host, status: response.status, headers: response.headers, bytes: await bounded(response, maxBytes, host) };
  } catch (problem) {
    signal.throwIfAborted();
    if (problem instanceof Failure) throw problem;
    throw patience.aborted ? tooLate(host, timeoutMs) : await unreachable(url, host);
  }
}

/**
 * The JSON of an answer. Rejects with a Failure where it is none.
 *
 * @param {Answer} answer
 * @returns {any}
 */
export function read({ bytes, host }) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new Failure("Unreadable answer", { reason: `${host} answered with something else than JSON.` });
  }
}

/**
 * The same, or nothing.
 *
 * @param {Answer} answer
 * @returns {any}
 */
export function readIfJson(answer) {
  try {
    return read(answer);
  } catch {
    return undefined;
  }
}

/**
 * @param {Response} response
 * @param {number} most
 * @param {string} host
 */
async function bounded(response, most, host) {
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const parts = [];
  let size = 0;
  const reader = response.body?.getReader();
  if (!reader) return new Uint8Array();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return joined(parts, size);
    size += value.byteLength;
    if (size > most) {
      await reader.cancel();
      throw new Failure("Answer too long", { reason: `${host} sent more than ${Math.floor(most / KIB)} KiB.` });
    }
    parts.push(value);
  }
}

/** @type {(parts: Uint8Array<ArrayBuffer>[], size: number) => Uint8Array<ArrayBuffer>} */
function joined(parts, size) {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

/** @type {(host: string, timeoutMs: number) => Failure} */
function tooLate(host, timeoutMs) {
  const reason = `${host} did not answer within ${Math.round(timeoutMs / 1000)} s.`;
  return new Failure("The generator took too long", { reason, code: "ERR_TIMEOUT" });
}

/** @type {(url: string, host: string) => Promise<Failure>} */
async function unreachable(url, host) {
  const reason = await isAllowed(url)
    ? `${host} could not be reached: is it running, and is its address right?`
    : `This extension may not reach ${host} yet: allow it in the options.`;
  return new Failure("The generator cannot be reached", { reason: brief(reason), retryAfterMs: 60_000 });
}

/** @type {(url: string) => Promise<boolean>} */
async function isAllowed(url) {
  const { protocol, hostname } = new URL(url);
  return await globalThis.chrome?.permissions?.contains({ origins: [`${protocol}//${hostname}/*`] }) ?? true;
}
