/** Any service with OpenAI's images API, with the user's own key. */

import { Failure } from "../shared/failures.js";
import { sleep } from "./abortable.js";
import { attemptId } from "./attempt_id.js";
import {
  MAX_PICTURE_BYTES, MAX_PICTURE_JSON_BYTES, parseJson, sendRequest, tryParseJson, Unreachable,
} from "./http.js";
import { contentRejected, failureFromResponse, NEEDS_USER_MS } from "./http_failures.js";
import { editForm, inputSupport, requestBody } from "./openai_request.js";
import { eventReader, eventsIn } from "./openai_stream.js";
import { pictureFromBase64, toPicture } from "./pictures.js";
import { shorten } from "./text.js";
import { baseUrl, isObject, originsOf } from "./validation.js";

const ADDRESS = "https://api.openai.com/v1";
const MAX_PROMPT_CHARS = 4000;
const RETRY_DELAYS_MS = [500, 2_000];
const RETRIED_STATUSES = new Set([202, 403, 404, 408, 425, 429, 500, 502, 503, 504]);
const MAX_LIST_BYTES = 8 * 1024 * 1024;
const CONTENT_ERROR = /content.?policy|safety system|moderation|content.?filter/i;
const BILLING_ERROR = /insufficient_quota|billing/i;

/** @typedef {import("./http.js").HttpResponse} HttpResponse */

/** @type {import("../shared/types.js").Provider} */
export const openai = {
  kind: "openai",
  title: "OpenAI-compatible API",
  about: "Uses a service with OpenAI's images API, with your own key and at your own cost.",
  fields: [
    {
      name: "address", label: "Base address", type: "url", initial: ADDRESS, required: true,
      help: "The part before /images/generations. Variations and edits go to /images/edits below it.",
    },
    { name: "key", label: "API key", type: "secret", help: "Stored in this browser and sent only to this address." },
    { name: "model", label: "Model", type: "text", help: "Leave empty to use the model of the job." },
    {
      name: "mapping", label: "Model names", type: "json",
      help: "Replaces the model of a job with another, for example {\"dall-e-3\": \"gpt-image-1\"}.",
    },
    {
      name: "size", label: "Size", type: "choice", initial: "nearest", choices: ["nearest", "exact", "none"],
      help: "The nearest size that the model supports, exactly the size of the job, or the service's default.",
    },
    {
      name: "extra", label: "Extra fields", type: "json",
      help: "Sent with each request; they override the others. null removes a field, for example "
        + "{\"response_format\": null}.",
    },
    {
      name: "partialImages", label: "Partial images", type: "number", initial: 0, min: 0, max: 3,
      help: "How many previews to ask for, if somebody wants previews. The service must be able to stream pictures, "
        + "and may charge for each of them.",
    },
    {
      name: "pictures", label: "Address of the pictures", type: "url",
      help: "Only if the service returns picture addresses at another host than the base address.",
    },
    { name: "timeoutS", label: "Timeout (s)", type: "number", initial: 180, min: 5, max: 900 },
  ],
  origins: ({ address, pictures }) => [...new Set([...originsOf(address ?? ADDRESS), ...originsOf(pictures)])],
  problems: ({ address, key }) => {
    const needsKey = baseUrl(address ?? ADDRESS)?.startsWith(new URL(ADDRESS).origin);
    /** @type {Record<string, string>} */
    const problems = {};
    if (needsKey && !key) problems.key = "This address needs an API key.";
    return problems;
  },
  check: async (settings, signal) => {
    await checkPost(settings, signal);
    const options = { signal, headers: authorization(settings), maxBytes: MAX_LIST_BYTES };
    const response = await sendRequest(`${requireBase(settings)}/models`, options);
    // Keys may be allowed to make pictures, but not to list models.
    if ([401, 403, 404, 405].includes(response.status)) return "Connected. The service does not list its models.";
    if (response.status !== 200) throw failureFrom(response);
    const models = parseJson(response)?.data;
    if (!Array.isArray(models)) return "Connected.";
    const { model } = settings;
    if (model && models.length > 0 && !models.some(({ id }) => id === model)) {
      const reason = `${response.host} has no model "${model}". Choose another one in the settings.`;
      throw new Failure("The generator is not set up correctly", { reason, retryAfterMs: NEEDS_USER_MS });
    }
    return `Connected. Models: ${models.length}.`;
  },
  inputs: inputSupport,
  generate: async (request, context) => {
    const { signal, progress, used, settings } = context;
    progress(5, "Sending the request");
    const { inputs } = request;
    const { fields, onChunk } = streaming(context);
    const body = { ...requestBody(request, settings), ...fields };
    const response = await sendRequest(`${requireBase(settings)}/images/${inputs ? "edits" : "generations"}`, {
      signal,
      method: "POST",
      // The same for every copy of this request: Chrome may send it again over a new connection.
      headers: { ...authorization(settings), "Idempotency-Key": await attemptId(request) },
      ...(inputs ? { form: editForm(body, inputs) } : { json: body }),
      timeoutMs: (Number(settings.timeoutS) || 180) * 1000,
      maxBytes: MAX_PICTURE_JSON_BYTES,
      onChunk,
    });
    if (response.status !== 200) throw inputs && hasNoEdits(response) ? noEdits(response) : failureFrom(response);
    const answer = answerIn(response);
    used(usedIn(body, answer));
    progress(90, "Downloading the picture");
    const blob = await pictureFrom(answer, response.host, settings, signal);
    progress(100, "Done");
    return blob;
  },
  resumes: false,
};

/**
 * Ask for a picture without a prompt: the key and its permissions are checked, and nothing is made or charged.
 *
 * @param {Record<string, any>} settings
 * @param {AbortSignal} signal
 */
async function checkPost(settings, signal) {
  const url = `${requireBase(settings)}/images/generations`;
  const response = await sendRequest(url, { signal, method: "POST", headers: authorization(settings), json: {} });
  if (response.status !== 400 && response.status !== 422) throw failureFrom(response);
}

/**
 * How to get partial images, if somebody wants previews and the user allows it.
 *
 * @param {import("../shared/types.js").GenerationContext} context
 * @returns {{fields: Record<string, unknown>, onChunk?: (chunk: Uint8Array) => void}}
 */
function streaming({ previews, progress, settings }) {
  const count = Number(settings.partialImages) || 0;
  if (!previews || count === 0) return { fields: {} };
  const fields = { stream: true, partial_images: count };
  return { fields, onChunk: previewReader(count, previews, progress) };
}

/**
 * @param {number} expected
 * @param {import("../shared/types.js").PreviewSink} previews
 * @param {import("../shared/types.js").GenerationContext["progress"]} progress
 */
function previewReader(expected, previews, progress) {
  let count = 0;
  return eventReader(({ type, b64_json: image }) => {
    if (!type.endsWith(".partial_image")) return;
    count += 1;
    progress(Math.min(89, Math.ceil((100 * count) / (expected + 1))), "Generating");
    pictureFromBase64(image, "The service").then((blob) => previews.show(blob), () => {
      // The picture itself may be good.
    });
  });
}

/** The answer, also if it was streamed. Throws a Failure. @param {HttpResponse} response */
function answerIn(response) {
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) return parseJson(response);
  const events = eventsIn(response.bytes);
  const last = events.find(({ type }) => type.endsWith(".completed"));
  if (last) return { data: [last] };
  const error = events.find(({ type }) => type === "error");
  if (!error) throw new Failure("No picture received", { reason: `${response.host} ended without a picture.` });
  const bytes = new TextEncoder().encode(JSON.stringify(error));
  throw failureFrom({ ...response, bytes, status: error.error?.type === "server_error" ? 500 : 400 });
}

/**
 * What was used for the picture: the names in the request are those of the job's parameters.
 *
 * @param {Record<string, any>} body  of the request
 * @param {any} answer
 * @returns {import("../shared/types.js").Used}
 */
function usedIn({ model, seed, ...others }, answer) {
  const revised = answer?.data?.[0]?.revised_prompt;
  return {
    model: String(model), seed,
    revisedPrompt: typeof revised === "string" ? revised.slice(0, MAX_PROMPT_CHARS) : undefined,
    parameters: [...Object.keys(others), ...(seed === undefined ? [] : ["seed"])],
  };
}

/** @type {(settings: Record<string, any>) => string} */
function requireBase({ address }) {
  const base = baseUrl(address ?? ADDRESS);
  if (base) return base;
  throw new Failure("The generator is not set up correctly", { reason: "Its base address is not valid." });
}

/** @type {(settings: Record<string, any>) => Record<string, string>} */
function authorization({ key }) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** @type {(answer: any, host: string, settings: Record<string, any>, signal: AbortSignal) => Promise<Blob>} */
async function pictureFrom(answer, host, settings, signal) {
  const first = answer?.data?.[0];
  if (typeof first?.b64_json === "string") return pictureFromBase64(first.b64_json, host);
  if (typeof first?.url !== "string") {
    throw new Failure("No picture received", { reason: `${host} responded without a picture.` });
  }
  if (first.url.startsWith("data:")) return pictureFromBase64(first.url, host);
  return download(new URL(first.url, requireBase(settings)), settings, signal);
}

/**
 * Only from hosts in the settings, or over TLS: a response must not make this browser send requests to other hosts in
 * the user's network.
 *
 * @param {URL} url
 * @param {Record<string, any>} settings
 * @param {AbortSignal} signal
 */
async function download(url, settings, signal) {
  const allowed = [requireBase(settings), baseUrl(settings.pictures)].map((each) => each && new URL(each).origin);
  if (!allowed.includes(url.origin) && url.protocol !== "https:") {
    throw new Failure("No picture received", { reason: `Downloading the picture from ${url.host} is not allowed.` });
  }
  const response = await fetchFresh(url.href, signal);
  if (response.status !== 200) throw downloadFailure(response);
  return toPicture(response.bytes, response.host);
}

/**
 * Fetch a picture that was made a moment ago and is paid for. Its host may not have it yet, or be busy.
 *
 * @param {string} url
 * @param {AbortSignal} signal
 * @returns {Promise<HttpResponse>}
 */
async function fetchFresh(url, signal) {
  for (const delayMs of RETRY_DELAYS_MS) {
    try {
      const response = await sendRequest(url, { signal, timeoutMs: 60_000, maxBytes: MAX_PICTURE_BYTES });
      if (!RETRIED_STATUSES.has(response.status)) return response;
    } catch (problem) {
      if (!(problem instanceof Unreachable)) throw problem;
    }
    await sleep(delayMs, signal);
  }
  return sendRequest(url, { signal, timeoutMs: 60_000, maxBytes: MAX_PICTURE_BYTES });
}

/** The key and the settings are not to blame, so there is no long pause. @param {HttpResponse} response */
function downloadFailure({ status, host }) {
  return new Failure("No picture received", { reason: `${host} does not have the picture (${status}).` });
}

/** Many services have no such address. An unknown model has a code. @param {HttpResponse} response */
function hasNoEdits(response) {
  return [404, 405, 501].includes(response.status) && !tryParseJson(response)?.error?.code;
}

/** It goes on with other jobs, so there is no pause. @param {HttpResponse} response */
function noEdits({ host, status }) {
  const reason = `${host} cannot make variations or edits: it has no address /images/edits (${status}).`;
  return new Failure("No generator for input pictures", { reason, retryAfterMs: 0 });
}

/** @type {(response: HttpResponse) => Failure} */
function failureFrom(response) {
  const { message, searchable } = errorOf(tryParseJson(response));
  if (BILLING_ERROR.test(searchable)) {
    const reason = shorten(`${response.host} reports a billing problem: ${message}`);
    return new Failure("The account's quota is used up", {
      reason, code: "ERR_RATE_LIMIT", retryAfterMs: 4 * NEEDS_USER_MS,
    });
  }
  if (response.status < 500 && response.status !== 429 && CONTENT_ERROR.test(searchable)) {
    return contentRejected(response.host, message);
  }
  return failureFromResponse(response, message);
}

/**
 * The message of an error, and all of its text.
 *
 * @param {any} body
 * @returns {{message: string, searchable: string}}
 */
function errorOf(body) {
  const error = isObject(body?.error) ? body.error : { message: body?.error ?? body?.message };
  const [message, ...others] = [error.message, error.code, error.type].map((each) => String(each ?? ""));
  return { message, searchable: [message, ...others].join(" ") };
}
