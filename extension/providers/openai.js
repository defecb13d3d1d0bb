/** Any service that speaks OpenAI's images API, with the user's own key. */

import { Failure } from "../worker/failures.js";
import { baseUrl, isObject, originsOf } from "./fields.js";
import { ask, PICTURE_BYTES, PICTURE_JSON_BYTES, read, readIfJson } from "./http.js";
import { sent } from "./openai_request.js";
import { picture, pictureFromText } from "./pictures.js";
import { contentRefused, failureOf, UNTIL_SEEN_TO_MS } from "./refusals.js";
import { brief } from "./words.js";

const ADDRESS = "https://api.openai.com/v1";
const LIST_BYTES = 8 * 1024 * 1024;
const CONTENT = /content.?policy|safety system|moderation|content.?filter/i;
const MONEY = /insufficient_quota|billing/i;

/** @typedef {import("../shared/types.js").Help} Help */
/** @typedef {import("./http.js").Answer} Answer */

/** @type {import("../shared/types.js").Provider} */
export const openai = {
  kind: "openai",
  title: "OpenAI-compatible API",
  about: "Asks a service that speaks OpenAI's images API, with your own key and at your own cost.",
  fields: [
    {
      name: "address", label: "Base address", type: "url", initial: ADDRESS, required: true,
      help: "What stands before /images/generations.",
    },
    { name: "key", label: "API key", type: "secret", help: "It stays in this browser, and goes there alone." },
    { name: "model", label: "Model to ask for", type: "text", help: "Empty: the one that the job names." },
    {
      name: "mapping", label: "Other names of models", type: "json",
      help: "What to ask for in place of what a job names, as in {\"dall-e-3\": \"gpt-image-1\"}.",
    },
    {
      name: "size", label: "Size", type: "choice", initial: "nearest", choices: ["nearest", "exact", "none"],
      help: "The nearest that the model is known to make, exactly what is ordered, or left to the service.",
    },
    {
      name: "extra", label: "More fields", type: "json",
      help: "Sent with each request, in place of its own; null leaves one out, as in {\"response_format\": null}.",
    },
    {
      name: "pictures", label: "Address of the pictures", type: "url",
      help: "Only where answers hold addresses at another host than the base address.",
    },
    { name: "timeoutS", label: "Patience (s)", type: "number", initial: 180, min: 5, max: 900 },
  ],
  origins: ({ address, pictures }) => [...new Set([...originsOf(address), ...originsOf(pictures)])],
  check: async (settings, signal) => {
    const headers = authorization(settings);
    const answer = await ask(`${base(settings)}/models`, { signal, headers, maxBytes: LIST_BYTES });
    if (answer.status === 404) return "It answers, and does not say which models it has.";
    if (answer.status !== 200) throw refusal(answer);
    const models = read(answer)?.data;
    return Array.isArray(models) ? `It answers, with ${models.length} models.` : "It answers.";
  },
  generate: async (order, { signal, progress, settings }) => {
    progress(5, "Asking");
    const answer = await ask(`${base(settings)}/images/generations`, {
      signal,
      method: "POST",
      headers: authorization(settings),
      json: sent(order, settings),
      timeoutMs: (Number(settings.timeoutS) || 180) * 1000,
      maxBytes: PICTURE_JSON_BYTES,
    });
    if (answer.status !== 200) throw refusal(answer);
    progress(90, "Fetching the picture");
    const blob = await pictureOf(answer, settings, signal);
    progress(100, "Done");
    return blob;
  },
};

/** @type {(settings: Record<string, any>) => string} */
function base({ address }) {
  const found = baseUrl(address ?? ADDRESS);
  if (!found) throw new Failure("The generator is set up wrongly", { reason: "Its base address is none." });
  return found;
}

/** @type {(settings: Record<string, any>) => Record<string, string>} */
function authorization({ key }) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** @type {(answer: Answer, settings: Record<string, any>, signal: AbortSignal) => Promise<Blob>} */
async function pictureOf(answer, settings, signal) {
  const first = read(answer)?.data?.[0];
  if (typeof first?.b64_json === "string") return pictureFromText(first.b64_json, answer.host);
  if (typeof first?.url !== "string") {
    throw new Failure("No picture came", { reason: `${answer.host} answered without a picture.` });
  }
  if (first.url.startsWith("data:")) return pictureFromText(first.url, answer.host);
  return fetched(new URL(first.url, base(settings)), settings, signal);
}

/**
 * Only from where the user said, or over TLS: an answer does not get to have this browser knock at other doors.
 *
 * @param {URL} url
 * @param {Record<string, any>} settings
 * @param {AbortSignal} signal
 */
async function fetched(url, settings, signal) {
  const own = [base(settings), baseUrl(settings.pictures)].map((known) => known && new URL(known).origin);
  if (!own.includes(url.origin) && url.protocol !== "https:") {
    throw new Failure("No picture came", { reason: `The picture's address at ${url.host} is not one to fetch from.` });
  }
  const answer = await ask(url.href, { signal, timeoutMs: 60_000, maxBytes: PICTURE_BYTES });
  if (answer.status !== 200) throw failureOf(answer);
  return picture(answer.bytes, answer.host);
}

/** @type {(answer: Answer) => Failure} */
function refusal(answer) {
  const { message, all } = complaint(readIfJson(answer));
  if (MONEY.test(all)) {
    const reason = brief(`${answer.host} wants its bill seen to: ${message}`);
    return new Failure("The account's quota is used up", {
      reason, code: "ERR_RATE_LIMIT", retryAfterMs: 4 * UNTIL_SEEN_TO_MS,
    });
  }
  if (answer.status < 500 && answer.status !== 429 && CONTENT.test(all)) return contentRefused(answer.host, message);
  return failureOf(answer, message);
}

/**
 * What an error says to people, and all of its words.
 *
 * @param {any} body
 * @returns {{message: string, all: string}}
 */
function complaint(body) {
  const error = isObject(body?.error) ? body.error : { message: body?.error ?? body?.message };
  const [message, ...others] = [error.message, error.code, error.type].map((each) => String(each ?? ""));
  return { message, all: [message, ...others].join(" ") };
}
