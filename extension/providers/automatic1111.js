/** AUTOMATIC1111's web UI, or Forge, on the user's own machine, started with --api. */

import { Failure } from "../worker/failures.js";
import { baseUrl, isObject, originsOf, seedOf, whole } from "./fields.js";
import { ask, PICTURE_JSON_BYTES, read, readIfJson } from "./http.js";
import { pictureFromText } from "./pictures.js";
import { failureOf } from "./refusals.js";
import { inTurn } from "./turns.js";
import { pause } from "./waiting.js";

const ADDRESS = "http://127.0.0.1:7860";
const POLL_MS = 700;
const SHORT_MS = 5000;

/** @typedef {import("../shared/types.js").Order} Order */
/** @typedef {import("../shared/types.js").Help} Help */
/** @typedef {{base: string, headers: Record<string, string>, task: string}} Work */

/** @type {import("../shared/types.js").Provider} */
export const automatic1111 = {
  kind: "automatic1111",
  title: "AUTOMATIC1111 or Forge",
  about: "Uses the Stable Diffusion web UI on your own machine, started with --api.",
  fields: [
    { name: "address", label: "Address", type: "url", initial: ADDRESS, required: true },
    { name: "user", label: "User", type: "text", help: "Only where it was started with --api-auth." },
    { name: "password", label: "Password", type: "secret" },
    { name: "checkpoint", label: "Checkpoint", type: "text", help: "Empty: the one that is loaded." },
    { name: "negative", label: "Negative prompt", type: "text" },
    { name: "sampler", label: "Sampler", type: "text", help: "Empty: its default." },
    { name: "steps", label: "Steps", type: "number", initial: 25, min: 1, max: 150 },
    { name: "cfgScale", label: "Guidance (CFG scale)", type: "number", initial: 7, min: 1, max: 30 },
    { name: "extra", label: "More fields", type: "json", help: "Sent with each request, in place of its own." },
    { name: "timeoutS", label: "Patience (s)", type: "number", initial: 600, min: 10, max: 3600 },
  ],
  origins: ({ address }) => originsOf(address),
  check: async (settings, signal) => {
    const { base, headers } = access(settings);
    const answer = await ask(`${base}/sdapi/v1/sd-models`, { signal, headers });
    if (answer.status !== 200) throw refusal(answer);
    const found = read(answer);
    return `It answers, with ${Array.isArray(found) ? found.length : "no"} checkpoints.`;
  },
  generate: (order, help) => {
    const { base, headers } = access(help.settings);
    const work = { base, headers, task: `imagefleet-${crypto.randomUUID()}` };
    // It tells progress of, and interrupts, whatever it is at. With one of ours at a time, that is the right one.
    return inTurn(base, help.signal, () => generate(order, help, work));
  },
};

/** @type {(order: Order, help: Help, work: Work) => Promise<Blob>} */
async function generate(order, { signal, progress, settings }, work) {
  const over = new AbortController();
  const watching = watch(work, progress, AbortSignal.any([signal, over.signal]));
  try {
    const answer = await ask(`${work.base}/sdapi/v1/txt2img`, {
      signal,
      method: "POST",
      headers: work.headers,
      json: { ...sent(order, settings), force_task_id: work.task },
      timeoutMs: (Number(settings.timeoutS) || 600) * 1000,
      maxBytes: PICTURE_JSON_BYTES,
    });
    if (answer.status !== 200) throw refusal(answer);
    const blob = await pictureFromText(read(answer)?.images?.[0] ?? "", answer.host);
    progress(100, "Done");
    return blob;
  } catch (problem) {
    if (signal.aborted || (problem instanceof Failure && problem.code === "ERR_TIMEOUT")) await interrupt(work);
    throw problem;
  } finally {
    over.abort();
    await watching;
  }
}

/**
 * Tell progress until the signal ends it. A question that fails is only a report that is missing.
 *
 * @param {Work} work
 * @param {Help["progress"]} progress
 * @param {AbortSignal} signal
 */
async function watch(work, progress, signal) {
  progress(0, "Asking");
  while (!signal.aborted) {
    try {
      await pause(POLL_MS, signal);
      const state = await stateOf(work, signal);
      if (isOthers(state, work)) progress(0, "Waiting for its turn");
      else progress(Math.min(99, Math.floor(100 * (Number(state.progress) || 0))), "Generating");
    } catch {
      // Asked again, or over.
    }
  }
}

/** Stop what it is at, unless it says that this is somebody else's. @param {Work} work */
async function interrupt(work) {
  const { signal } = new AbortController();
  try {
    const state = await stateOf(work, signal);
    if (isOthers(state, work)) return;
    const { base, headers } = work;
    await ask(`${base}/sdapi/v1/interrupt`, { signal, method: "POST", headers, json: {}, timeoutMs: SHORT_MS });
  } catch {
    // It does not hear. Nobody waits for what it makes.
  }
}

/** @type {(work: Work, signal: AbortSignal) => Promise<Record<string, any>>} */
async function stateOf({ base, headers }, signal) {
  const url = `${base}/sdapi/v1/progress?skip_current_image=true`;
  const state = read(await ask(url, { signal, headers, timeoutMs: SHORT_MS }));
  return isObject(state) ? state : {};
}

/** Older versions do not say whose work they are at. @type {(state: Record<string, any>, work: Work) => boolean} */
function isOthers(state, work) {
  return typeof state.current_task === "string" && state.current_task !== work.task;
}

/** @type {(order: Order, settings: Record<string, any>) => Record<string, unknown>} */
function sent(order, settings) {
  return {
    prompt: order.prompt,
    negative_prompt: settings.negative ?? "",
    width: inEights(order.width),
    height: inEights(order.height),
    steps: settings.steps ?? 25,
    cfg_scale: settings.cfgScale ?? 7,
    ...fromJob(order.parameters),
    seed: seedOf(order),
    batch_size: 1,
    n_iter: 1,
    send_images: true,
    ...(settings.sampler ? { sampler_name: settings.sampler } : {}),
    ...(settings.checkpoint ? { override_settings: { sd_model_checkpoint: settings.checkpoint } } : {}),
    ...(isObject(settings.extra) ? settings.extra : {}),
  };
}

/** What a job may decide, where it does so sensibly. @type {(parameters: Order["parameters"]) => object} */
function fromJob({ negativePrompt, steps, cfgScale }) {
  return {
    ...(typeof negativePrompt === "string" ? { negative_prompt: negativePrompt } : {}),
    ...(whole(steps, 1, 150) ? { steps } : {}),
    ...(typeof cfgScale === "number" && cfgScale >= 1 && cfgScale <= 30 ? { cfg_scale: cfgScale } : {}),
  };
}

/** Its models think in blocks of 8 px. @type {(px: number) => number} */
function inEights(px) {
  return Math.max(64, Math.round(px / 8) * 8);
}

/** @type {(settings: Record<string, any>) => {base: string, headers: Record<string, string>}} */
function access({ address, user, password }) {
  const base = baseUrl(address ?? ADDRESS);
  if (!base) throw new Failure("The generator is set up wrongly", { reason: "Its address is none." });
  const pair = new TextEncoder().encode(`${user ?? ""}:${password ?? ""}`);
  return { base, headers: user ? { Authorization: `Basic ${btoa(String.fromCharCode(...pair))}` } : {} };
}

/** @type {(answer: import("./http.js").Answer) => Failure} */
function refusal(answer) {
  if (answer.status === 404) return failureOf(answer, "was it started with --api?");
  const body = readIfJson(answer);
  const words = [body?.error, body?.detail, body?.errors].filter((each) => each && typeof each === "string");
  return failureOf(answer, words.join(": "));
}
