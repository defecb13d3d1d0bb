/** HTTP requests to generators, with limits on time and size. */

import { Failure } from "../shared/failures.js";
import { shorten } from "./text.js";

const KIB = 1024;
const MIB = 1024 * KIB;
export const MAX_PICTURE_BYTES = 32 * MIB;
/** A JSON document that contains a picture in base64. */
export const MAX_PICTURE_JSON_BYTES = 48 * MIB;

/** There was no response in time, or none at all: what the request asked for may have happened or not. */
export class Unreachable extends Failure {}

/**
 * @typedef {object} RequestOptions
 * @property {AbortSignal} signal
 * @property {string} [method]
 * @property {Record<string, string>} [headers]
 * @property {unknown} [json]  the body
 * @property {FormData} [form]  the body, as multipart/form-data
 * @property {number} [timeoutMs]
 * @property {number} [maxBytes]  of the response
 * @property {(chunk: Uint8Array) => void} [onChunk]  called with the parts of the response as they arrive
 * @property {RequestCredentials} [credentials]  by default the user's cookies are not sent
 */

/**
 * @typedef {object} HttpResponse
 * @property {string} host
 * @property {number} status
 * @property {Headers} headers
 * @property {Uint8Array<ArrayBuffer>} bytes
 */

/**
 * Send a request and return the response, whatever its status. Rejects with a Failure if there is none, and with the
 * signal's reason if it is aborted.
 *
 * @param {string} url
 * @param {RequestOptions} options
 * @returns {Promise<HttpResponse>}
 */
export async function sendRequest(url, options) {
  const { signal, method = "GET", headers, timeoutMs = 30_000, maxBytes = MIB, credentials = "omit" } = options;
  signal.throwIfAborted();
  const { host } = new URL(url);
  const timeout = AbortSignal.timeout(timeoutMs);
  const { contentType, body } = encode(options);
  try {
    const response = await fetch(url, {
      method,
      headers: { Accept: "application/json, image/*;q=0.9, */*;q=0.1", ...contentType, ...headers },
      body,
      credentials,
      cache: "no-store",
      signal: AbortSignal.any([signal, timeout]),
    });
    const bytes = await readBounded(response, { maxBytes, onChunk: options.onChunk }, host);
    return { host, status: response.status, headers: response.headers, bytes };
  } catch (problem) {
    signal.throwIfAborted();
    if (problem instanceof Failure) throw problem;
    throw timeout.aborted ? timeoutFailure(host, timeoutMs) : await unreachable(url, host);
  }
}

/** A form's type contains its boundary, which only the browser knows. @param {RequestOptions} options */
function encode({ json, form }) {
  /** @type {Record<string, string>} */
  const contentType = json === undefined ? {} : { "Content-Type": "application/json" };
  return { contentType, body: json === undefined ? form : JSON.stringify(json) };
}

/**
 * The body as JSON. Throws a Failure if it is not JSON.
 *
 * @param {HttpResponse} response
 * @returns {any}
 */
export function parseJson({ bytes, host }) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new Failure("Invalid response", { reason: `${host} sent a response that is not JSON.` });
  }
}

/**
 * The body as JSON, or undefined if it is not JSON.
 *
 * @param {HttpResponse} response
 * @returns {any}
 */
export function tryParseJson(response) {
  try {
    return parseJson(response);
  } catch {
    return undefined;
  }
}

/**
 * @param {Response} response
 * @param {{maxBytes: number, onChunk?: (chunk: Uint8Array) => void}} options
 * @param {string} host
 */
async function readBounded(response, { maxBytes, onChunk }, host) {
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const chunks = [];
  let size = 0;
  const reader = response.body?.getReader();
  if (!reader) return new Uint8Array();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return concat(chunks, size);
    size += value.byteLength;
    if (size > maxBytes) {
      await reader.cancel();
      throw new Failure("Response too large", { reason: `${host} sent more than ${Math.floor(maxBytes / KIB)} KiB.` });
    }
    chunks.push(value);
    onChunk?.(value);
  }
}

/** @type {(chunks: Uint8Array<ArrayBuffer>[], size: number) => Uint8Array<ArrayBuffer>} */
function concat(chunks, size) {
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

/** @type {(host: string, timeoutMs: number) => Failure} */
function timeoutFailure(host, timeoutMs) {
  const reason = `${host} did not respond within ${Math.round(timeoutMs / 1000)} s.`;
  return new Unreachable("The generator took too long", { reason, code: "ERR_TIMEOUT" });
}

/** @type {(url: string, host: string) => Promise<Failure>} */
async function unreachable(url, host) {
  const reason = await isAllowed(url)
    ? `${host} cannot be reached. Is it running, and is its address correct?`
    : `This extension is not allowed to access ${host}. Allow it in the settings.`;
  return new Unreachable("The generator cannot be reached", { reason: shorten(reason), retryAfterMs: 60_000 });
}

/** @type {(url: string) => Promise<boolean>} */
async function isAllowed(url) {
  const { protocol, hostname } = new URL(url);
  return await globalThis.chrome?.permissions?.contains({ origins: [`${protocol}//${hostname}/*`] }) ?? true;
}
