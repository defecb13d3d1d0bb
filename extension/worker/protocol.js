/** The messages of the socket: what the server says, read field by field; what the extension says, made here. */

/** @typedef {import("../shared/types.js").Job} Job */
/** @typedef {import("../shared/types.js").UploadGrant} UploadGrant */
/** @typedef {Record<string, unknown>} Fields */

/** The server takes no larger messages; this counts bytes. */
export const MOST_MESSAGE_BYTES = 1_000_000;
const DAY_MS = 86_400_000;

/**
 * @typedef {{type: "authentication_required"}
 *   | {type: "authentication_success", activeRequestIds?: string[]}
 *   | {type: "generate_image", job: Job}
 *   | {type: "cancel_generation", requestId: string}
 *   | {type: "image_generation_confirmed", requestId: string}
 *   | {type: "heartbeat_response"}
 *   | {type: "error", error: string, code: string, requestId: string}
 *   | {type: "unknown"}} ServerMessage
 */

/** @typedef {{available: boolean, active: number, waiting: number, requestIds: string[]}} Load */

/** A message that cannot be understood. Nothing is done about it. */
export class BadMessage extends Error {}

/** @type {Record<string, (fields: Fields) => ServerMessage>} */
const READERS = {
  authentication_required: () => ({ type: "authentication_required" }),
  authentication_success: (fields) => ({
    type: "authentication_success",
    ...given("activeRequestIds", optionalTexts(fields, "activeRequestIds")),
  }),
  generate_image: (fields) => ({ type: "generate_image", job: readJob(fields) }),
  cancel_generation: (fields) => ({ type: "cancel_generation", requestId: text(fields, "requestId") }),
  image_generation_confirmed: (fields) => ({
    type: "image_generation_confirmed",
    requestId: text(fields, "requestId"),
  }),
  heartbeat_response: () => ({ type: "heartbeat_response" }),
  error: (fields) => ({
    type: "error",
    error: optionalText(fields, "error") ?? "The server complains, and does not say of what.",
    code: optionalText(fields, "code") ?? "",
    requestId: optionalText(fields, "requestId") ?? "",
  }),
};

/**
 * One message of the server. Throws BadMessage. Types that are not known are left to newer extensions.
 *
 * @param {unknown} received
 * @returns {ServerMessage}
 */
export function read(received) {
  if (typeof received !== "string") throw new BadMessage("The message is no text.");
  const fields = object(parse(received), "the message");
  const type = text(fields, "type");
  return Object.hasOwn(READERS, type) ? READERS[type](fields) : { type: "unknown" };
}

/**
 * @param {{extensionId: string, token: string, version: string, capabilities: string[], maxConcurrent: number,
 *   activeRequestIds: string[]}} hello
 */
export function authenticate({ extensionId, token, version, capabilities, maxConcurrent, activeRequestIds }) {
  const metadata = { version, capabilities, maxConcurrent };
  return { type: "authenticate", extensionId, ...(token ? { token } : {}), metadata, activeRequestIds };
}

/** @param {string} extensionId @param {Load} load */
export function heartbeat(extensionId, { available, active, waiting, requestIds }) {
  const status = { available, queueSize: waiting, activeRequests: active };
  return { type: "heartbeat", extensionId, status, activeRequestIds: requestIds };
}

/** @param {Job} job @param {number} percent @param {string} words */
export function progress(job, percent, words) {
  return { ...report("image_generation_progress", job), progress: Math.floor(percent), status: words };
}

/** @param {Job} job @param {string[]} imageUrls @param {Fields} made  about the pictures */
export function generated(job, imageUrls, made) {
  const more = imageUrls.length > 1 ? { imageUrls } : {};
  const metadata = { model: job.model, prompt: job.prompt, ...made };
  return { ...report("image_generated", job), imageUrl: imageUrls[0], ...more, metadata };
}

/** @param {Job} job @param {Fields} failure  with the fields of a Failure */
export function failed(job, { error, reason, code, retryable, retryAfterMs }) {
  return {
    ...report("image_generation_failed", job),
    error: error || "The extension failed",
    ...given("reason", reason),
    ...given("code", code),
    ...given("retryable", retryable),
    ...given("retryAfterMs", wholeMs(retryAfterMs)),
  };
}

/** The server takes whole numbers, up to a day. @param {unknown} value */
function wholeMs(value) {
  return typeof value === "number" && value >= 0 ? Math.min(DAY_MS, Math.round(value)) : undefined;
}

/** @param {string} type @param {Job} job */
function report(type, { requestId, correlationId, lease }) {
  return { type, requestId, ...given("correlationId", correlationId), ...given("lease", lease) };
}

/** @param {Fields} fields @returns {Job} */
function readJob(fields) {
  return {
    requestId: text(fields, "requestId"),
    prompt: text(fields, "prompt"),
    model: optionalText(fields, "model") ?? "",
    parameters: object(fields.parameters ?? {}, "parameters"),
    ...given("correlationId", optionalText(fields, "correlationId")),
    ...given("lease", optionalText(fields, "lease")),
    ...given("upload", readGrant(fields.upload)),
  };
}

/** @param {unknown} value @returns {UploadGrant | undefined} */
function readGrant(value) {
  if (value === undefined || value === null) return undefined;
  const fields = object(value, "upload");
  const headers = Object.entries(object(fields.headers ?? {}, "upload.headers"));
  return {
    url: httpAddress(text(fields, "url")),
    method: optionalText(fields, "method") ?? "PUT",
    headers: Object.fromEntries(headers.map(([name, content]) => [name, String(content)])),
    ...(typeof fields.maxBytes === "number" ? { maxBytes: fields.maxBytes } : {}),
  };
}

/** @param {string} address */
function httpAddress(address) {
  if (/^https?:\/\//i.test(address) && URL.canParse(address)) return address;
  throw new BadMessage("upload.url is no http address.");
}

/** @param {string} received @returns {unknown} */
function parse(received) {
  try {
    return JSON.parse(received);
  } catch {
    throw new BadMessage("The message is not JSON.");
  }
}

/** @param {unknown} value @param {string} name @returns {Fields} */
function object(value, name) {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return /** @type {Fields} */ (value);
  throw new BadMessage(`${name} is no object.`);
}

/** @param {Fields} fields @param {string} name @returns {string} */
function text(fields, name) {
  const value = fields[name];
  if (typeof value === "string" && value) return value;
  throw new BadMessage(`${name} is no text.`);
}

/** @param {Fields} fields @param {string} name */
function optionalText(fields, name) {
  const value = fields[name];
  return typeof value === "string" ? value : undefined;
}

/** @param {Fields} fields @param {string} name @returns {string[] | undefined} */
function optionalTexts(fields, name) {
  const value = fields[name];
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : undefined;
}

/**
 * @template {string} Name
 * @template T
 * @param {Name} name
 * @param {T | undefined} value
 * @returns {Partial<Record<Name, T>>}
 */
function given(name, value) {
  return value === undefined ? {} : /** @type {Partial<Record<Name, T>>} */ ({ [name]: value });
}
