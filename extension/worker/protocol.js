/** The socket's messages: parses what the server sends, builds what the extension sends. */

import { parseInputImages } from "./input_images.js";
import { InvalidMessage, optional, optionalString, requiredString, requireHttpUrl, requireObject } from "./fields.js";

export { InvalidMessage } from "./fields.js";

/** @typedef {import("../shared/types.js").Job} Job */
/** @typedef {import("../shared/types.js").UploadGrant} UploadGrant */
/** @typedef {Record<string, unknown>} Fields */

/** The server accepts no larger messages. */
export const MAX_MESSAGE_BYTES = 1_000_000;
const DAY_MS = 86_400_000;

/**
 * @typedef {{type: "authentication_required"}
 *   | {type: "authentication_success", activeRequestIds?: string[]}
 *   | {type: "generate_image", job: Job}
 *   | {type: "cancel_generation", requestId: string}
 *   | {type: "image_generation_confirmed", requestId: string}
 *   | {type: "heartbeat_response", pausedUntil?: number, pauseReason?: string}
 *   | {type: "error", error: string, code: string, requestId: string}
 *   | {type: "unknown"}} ServerMessage
 */

/** @typedef {{available: boolean, active: number, waiting: number, requestIds: string[]}} Load */

/** @type {Record<string, (fields: Fields) => ServerMessage>} */
const PARSERS = {
  authentication_required: () => ({ type: "authentication_required" }),
  authentication_success: (fields) => ({
    type: "authentication_success",
    ...optional("activeRequestIds", optionalStrings(fields, "activeRequestIds")),
  }),
  generate_image: (fields) => ({ type: "generate_image", job: parseJob(fields) }),
  cancel_generation: (fields) => ({ type: "cancel_generation", requestId: requiredString(fields, "requestId") }),
  image_generation_confirmed: (fields) => ({
    type: "image_generation_confirmed",
    requestId: requiredString(fields, "requestId"),
  }),
  heartbeat_response: (fields) => ({
    type: "heartbeat_response",
    ...optional("pausedUntil", optionalTime(fields, "pausedUntil")),
    ...optional("pauseReason", optionalString(fields, "pauseReason")),
  }),
  error: (fields) => ({
    type: "error",
    error: optionalString(fields, "error") ?? "The server reported an error without a description.",
    code: optionalString(fields, "code") ?? "",
    requestId: optionalString(fields, "requestId") ?? "",
  }),
};

/**
 * Parse one message from the server. Unknown types are accepted, because newer servers may send them.
 * Throws InvalidMessage.
 *
 * @param {unknown} received
 * @returns {ServerMessage}
 */
export function parseMessage(received) {
  if (typeof received !== "string") throw new InvalidMessage("The message is not text.");
  const fields = requireObject(parseJson(received), "the message");
  const type = requiredString(fields, "type");
  return Object.hasOwn(PARSERS, type) ? PARSERS[type](fields) : { type: "unknown" };
}

/**
 * @param {{extensionId: string, token: string, version: string, capabilities: string[], maxConcurrent: number,
 *   activeRequestIds: string[], available?: boolean, repaired?: boolean}} registration  `available`: whether jobs are
 *   accepted at the moment; `repaired`: whether the user removed a cause of failures
 */
export function authenticate({ extensionId, token, activeRequestIds, available = true, repaired, ...metadata }) {
  if (!available) Object.assign(metadata, { available });
  if (repaired) Object.assign(metadata, { repaired });
  return { type: "authenticate", extensionId, ...(token ? { token } : {}), metadata, activeRequestIds };
}

/** @param {string} extensionId @param {Load} load */
export function heartbeat(extensionId, { available, active, waiting, requestIds }) {
  const status = { available, queueSize: waiting, activeRequests: active };
  return { type: "heartbeat", extensionId, status, activeRequestIds: requestIds };
}

/** @param {Job} job @param {number} percent @param {string} message @param {object} [preview] */
export function progress(job, percent, message, preview) {
  const shown = { progress: Math.floor(percent), status: message, ...optional("preview", preview) };
  return { ...report("image_generation_progress", job), ...shown };
}

/** @param {Job} job @param {string[]} imageUrls @param {Fields} made  metadata of the pictures */
export function generated(job, imageUrls, made) {
  const more = imageUrls.length > 1 ? { imageUrls } : {};
  const metadata = { model: job.model, prompt: job.prompt, ...made };
  return { ...report("image_generated", job), imageUrl: imageUrls[0], ...more, metadata };
}

/** @param {Job} job @param {Fields} failure  `fields` of a Failure */
export function failed(job, { error, reason, code, retryable, retryAfterMs }) {
  return {
    ...report("image_generation_failed", job),
    error: error || "The extension failed",
    ...optional("reason", reason),
    ...optional("code", code),
    ...optional("retryable", retryable),
    ...optional("retryAfterMs", toWholeMs(retryAfterMs)),
  };
}

/** The server accepts whole numbers up to a day. @param {unknown} value */
function toWholeMs(value) {
  return typeof value === "number" && value >= 0 ? Math.min(DAY_MS, Math.round(value)) : undefined;
}

/** @param {string} type @param {Job} job */
function report(type, { requestId, correlationId, lease }) {
  return { type, requestId, ...optional("correlationId", correlationId), ...optional("lease", lease) };
}

/** @param {Fields} fields @returns {Job} */
function parseJob(fields) {
  return {
    requestId: requiredString(fields, "requestId"),
    prompt: requiredString(fields, "prompt"),
    model: optionalString(fields, "model") ?? "",
    parameters: requireObject(fields.parameters ?? {}, "parameters"),
    ...optional("correlationId", optionalString(fields, "correlationId")),
    ...optional("lease", optionalString(fields, "lease")),
    ...optional("upload", parseGrant(fields.upload)),
    ...optional("inputImages", parseInputImages(fields.inputImages)),
    ...optional("previews", positiveWhole(fields.previews)),
  };
}

/** @param {unknown} value */
function positiveWhole(value) {
  return typeof value === "number" && Number.isInteger(value) && value > 0 ? value : undefined;
}

/** @param {unknown} value @returns {UploadGrant | undefined} */
function parseGrant(value) {
  if (value === undefined || value === null) return undefined;
  const fields = requireObject(value, "upload");
  const headers = Object.entries(requireObject(fields.headers ?? {}, "upload.headers"));
  return {
    url: requireHttpUrl(requiredString(fields, "url"), "upload.url"),
    method: optionalString(fields, "method") ?? "PUT",
    headers: Object.fromEntries(headers.map(([name, content]) => [name, String(content)])),
    ...(typeof fields.maxBytes === "number" ? { maxBytes: fields.maxBytes } : {}),
  };
}

/** @param {string} received @returns {unknown} */
function parseJson(received) {
  try {
    return JSON.parse(received);
  } catch {
    throw new InvalidMessage("The message is not JSON.");
  }
}

/** A time in ms since the epoch. @param {Fields} fields @param {string} name */
function optionalTime(fields, name) {
  const ms = Date.parse(optionalString(fields, name) ?? "");
  return Number.isNaN(ms) ? undefined : ms;
}

/** @param {Fields} fields @param {string} name @returns {string[] | undefined} */
function optionalStrings(fields, name) {
  const value = fields[name];
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : undefined;
}
