/** AUTOMATIC1111's Stable Diffusion web UI, or Forge, started with --api. */

import { Failure } from "../shared/failures.js";
import { sleep } from "./abortable.js";
import { attemptId } from "./attempt_id.js";
import { inputFields } from "./automatic1111_inputs.js";
import { runExclusively } from "./exclusive.js";
import { MAX_PICTURE_JSON_BYTES, parseJson, sendRequest, tryParseJson } from "./http.js";
import { failureFromResponse, NEEDS_USER_MS } from "./http_failures.js";
import { pictureFromBase64 } from "./pictures.js";
import { MAX_EXACT_SEED, seedOf } from "./seeds.js";
import { baseUrl, integerInRange, isObject, originsOf, toMultipleOf8 } from "./validation.js";

const ADDRESS = "http://127.0.0.1:7860";
const POLL_MS = 700;
const SHORT_MS = 5000;
const MIN_SIDE_PX = 64;
const MAX_LIST_BYTES = 8 * 1024 * 1024;
/** The names that the web UI has for parameters of jobs. @type {Record<string, string>} */
const FIELDS = { negativePrompt: "negative_prompt", steps: "steps", cfgScale: "cfg_scale" };

/** @typedef {import("../shared/types.js").PictureRequest} PictureRequest */
/** @typedef {import("../shared/types.js").GenerationContext} GenerationContext */
/** @typedef {{base: string, headers: Record<string, string>}} Connection */
/** @typedef {Connection & {id: string}} WebUiTask */

/** @type {import("../shared/types.js").Provider} */
export const automatic1111 = {
  kind: "automatic1111",
  title: "AUTOMATIC1111 or Forge",
  about: "Uses the Stable Diffusion web UI on your own machine, started with --api.",
  fields: [
    { name: "address", label: "Address", type: "url", initial: ADDRESS, required: true },
    { name: "user", label: "User", type: "text", help: "Only if it was started with --api-auth." },
    { name: "password", label: "Password", type: "secret" },
    { name: "checkpoint", label: "Checkpoint", type: "text", help: "Leave empty to use the one that is loaded." },
    { name: "negative", label: "Negative prompt", type: "text" },
    { name: "sampler", label: "Sampler", type: "text", help: "Leave empty to use its default." },
    { name: "steps", label: "Steps", type: "number", initial: 25, min: 1, max: 150 },
    { name: "cfgScale", label: "Guidance (CFG scale)", type: "number", initial: 7, min: 1, max: 30 },
    { name: "extra", label: "Extra fields", type: "json", help: "Sent with each request; they override the others." },
    { name: "timeoutS", label: "Timeout (s)", type: "number", initial: 600, min: 10, max: 3600 },
  ],
  origins: ({ address }) => originsOf(address ?? ADDRESS),
  check: async (settings, signal) => {
    const connection = connectionTo(settings);
    await checkPost(connection, signal);
    const checkpoints = await fetchList(connection, "sd-models", signal);
    if (checkpoints.length === 0) {
      throw notSetUp("It has no checkpoint. Put one into its folder models/Stable-diffusion.");
    }
    const { checkpoint, sampler } = settings;
    // The web UI takes a part of the name, too.
    if (checkpoint && !JSON.stringify(checkpoints).includes(checkpoint)) {
      throw notSetUp(`It has no checkpoint "${checkpoint}". Choose another one in the settings.`);
    }
    const samplers = sampler ? await fetchList(connection, "samplers", signal) : [];
    if (sampler && !samplers.some(({ name, aliases }) => [name, aliases].flat().includes(sampler))) {
      throw notSetUp(`It has no sampler "${sampler}". Choose another one in the settings.`);
    }
    return `Connected. Checkpoints: ${checkpoints.length}.`;
  },
  inputs: () => ({ operations: ["image-variation", "image-edit"], maxImages: 1 }),
  generate: async (request, context) => {
    const task = await taskFor(request, context.settings);
    // Its progress and interrupt endpoints act on the running task, whichever it is. One at a time makes it ours.
    return runExclusively(task.base, context.signal, async () => {
      if (request.begun) await interruptOwn(task);
      return generate(request, context, task);
    });
  },
  // The web UI returns a picture only to the request that asked for it: what an earlier worker began is redone.
  resumes: true,
  abandon: async (request, settings) => interruptOwn(await taskFor(request, settings)),
};

/**
 * Ask for a picture with a width that is no number: it is refused before anything is made.
 *
 * @param {Connection} connection
 * @param {AbortSignal} signal
 */
async function checkPost({ base, headers }, signal) {
  const url = `${base}/sdapi/v1/txt2img`;
  const response = await sendRequest(url, { signal, method: "POST", headers, json: { width: "check" } });
  if (response.status !== 422) throw failureFrom(response);
}

/** @type {(connection: Connection, name: string, signal: AbortSignal) => Promise<Record<string, unknown>[]>} */
async function fetchList({ base, headers }, name, signal) {
  const response = await sendRequest(`${base}/sdapi/v1/${name}`, { signal, headers, maxBytes: MAX_LIST_BYTES });
  if (response.status !== 200) throw failureFrom(response);
  const list = parseJson(response);
  return Array.isArray(list) ? list.filter(isObject) : [];
}

/** @param {string} reason */
function notSetUp(reason) {
  return new Failure("The generator is not set up correctly", { reason, retryAfterMs: NEEDS_USER_MS });
}

/** @type {(request: PictureRequest, context: GenerationContext, task: WebUiTask) => Promise<Blob>} */
async function generate(request, { signal, progress, previews, used, settings }, task) {
  const { path, more } = await endpointFor(request);
  const body = requestBody(request, settings, more);
  used({ seed: Number(body.seed), parameters: usedNames(request) });
  const finished = new AbortController();
  const polling = pollProgress(task, { progress, previews }, AbortSignal.any([signal, finished.signal]));
  try {
    const response = await sendRequest(`${task.base}/sdapi/v1/${path}`, {
      signal,
      method: "POST",
      headers: task.headers,
      json: { ...body, force_task_id: task.id },
      timeoutMs: (Number(settings.timeoutS) || 600) * 1000,
      maxBytes: MAX_PICTURE_JSON_BYTES,
    });
    if (response.status !== 200) throw failureFrom(response);
    const blob = await pictureFromBase64(parseJson(response)?.images?.[0] ?? "", response.host);
    progress(100, "Done");
    return blob;
  } catch (problem) {
    if (signal.aborted || (problem instanceof Failure && problem.code === "ERR_TIMEOUT")) await interrupt(task);
    throw problem;
  } finally {
    finished.abort();
    await polling;
  }
}

/** Where the request goes, and its fields for input pictures. @param {PictureRequest} request */
async function endpointFor({ inputs }) {
  return inputs ? { path: "img2img", more: await inputFields(inputs) } : { path: "txt2img", more: {} };
}

/** @param {PictureRequest} request */
function usedNames({ inputs, parameters }) {
  return ["seed", ...(inputs ? ["strength"] : []), ...Object.keys(ownValues(parameters))];
}

/**
 * Report progress until the signal is aborted. A failed poll is skipped.
 *
 * @param {WebUiTask} task
 * @param {Pick<GenerationContext, "progress" | "previews">} context
 * @param {AbortSignal} signal
 */
async function pollProgress(task, { progress, previews }, signal) {
  progress(0, "Sending the request");
  while (!signal.aborted) {
    try {
      await sleep(POLL_MS, signal);
      const state = await fetchState(task, signal, previews?.isDue);
      if (isOtherTask(state, task)) progress(0, "Waiting for other work");
      else {
        progress(Math.min(99, Math.floor(100 * (Number(state.progress) || 0))), "Generating");
        if (previews && state.current_image) void showImage(state.current_image, task.base, previews);
      }
    } catch {
      // The next poll may succeed.
    }
  }
}

/**
 * @param {unknown} image  in base64
 * @param {string} base
 * @param {import("../shared/types.js").PreviewSink} previews
 */
async function showImage(image, base, previews) {
  try {
    await previews.show(await pictureFromBase64(image, base));
  } catch {
    // The next one may be a picture.
  }
}

/** Interrupt the running task, unless it is known to be another one. Never rejects. @param {WebUiTask} task */
function interrupt(task) {
  return interruptIf(task, (state) => !isOtherTask(state, task));
}

/** Interrupt the running task if it is known to be this one. Never rejects. @param {WebUiTask} task */
function interruptOwn(task) {
  return interruptIf(task, (state) => state.current_task === task.id);
}

/** @type {(task: WebUiTask, condition: (state: Record<string, any>) => boolean) => Promise<void>} */
async function interruptIf(task, condition) {
  const { signal } = new AbortController();
  try {
    if (!condition(await fetchState(task, signal))) return;
    const { base, headers } = task;
    const url = `${base}/sdapi/v1/interrupt`;
    await sendRequest(url, { signal, method: "POST", headers, json: {}, timeoutMs: SHORT_MS });
  } catch {
    // The result is discarded anyway.
  }
}

/** @type {(request: PictureRequest, settings: Record<string, any>) => Promise<WebUiTask>} */
async function taskFor(request, settings) {
  return { ...connectionTo(settings), id: `imagefleet-${await attemptId(request)}` };
}

/** @type {(task: WebUiTask, signal: AbortSignal, withImage?: boolean) => Promise<Record<string, any>>} */
async function fetchState({ base, headers }, signal, withImage = false) {
  const url = `${base}/sdapi/v1/progress?skip_current_image=${!withImage}`;
  const maxBytes = withImage ? MAX_PICTURE_JSON_BYTES : undefined;
  const state = parseJson(await sendRequest(url, { signal, headers, timeoutMs: SHORT_MS, maxBytes }));
  return isObject(state) ? state : {};
}

/** Older versions do not report the current task. @type {(state: Record<string, any>, task: WebUiTask) => boolean} */
function isOtherTask(state, task) {
  return typeof state.current_task === "string" && state.current_task !== task.id;
}

/** @type {(request: PictureRequest, settings: Record<string, any>, more: object) => Record<string, unknown>} */
function requestBody(request, settings, more) {
  return {
    prompt: request.prompt,
    negative_prompt: settings.negative ?? "",
    width: toMultipleOf8(request.width, MIN_SIDE_PX),
    height: toMultipleOf8(request.height, MIN_SIDE_PX),
    steps: settings.steps ?? 25,
    cfg_scale: settings.cfgScale ?? 7,
    ...renamed(ownValues(request.parameters)),
    seed: seedOf(request, MAX_EXACT_SEED),
    batch_size: 1,
    n_iter: 1,
    send_images: true,
    ...more,
    ...(settings.sampler ? { sampler_name: settings.sampler } : {}),
    ...(settings.checkpoint ? { override_settings: { sd_model_checkpoint: settings.checkpoint } } : {}),
    ...(isObject(settings.extra) ? settings.extra : {}),
  };
}

/** @param {Record<string, unknown>} values */
function renamed(values) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [FIELDS[name], value]));
}

/**
 * The job's own values, if they are valid.
 *
 * @param {PictureRequest["parameters"]} parameters
 * @returns {Record<string, unknown>}
 */
function ownValues({ negativePrompt, steps, cfgScale }) {
  return {
    ...(typeof negativePrompt === "string" ? { negativePrompt } : {}),
    ...(integerInRange(steps, 1, 150) ? { steps } : {}),
    ...(typeof cfgScale === "number" && cfgScale >= 1 && cfgScale <= 30 ? { cfgScale } : {}),
  };
}

/** @type {(settings: Record<string, any>) => {base: string, headers: Record<string, string>}} */
function connectionTo({ address, user, password }) {
  const base = baseUrl(address ?? ADDRESS);
  if (!base) throw new Failure("The generator is not set up correctly", { reason: "Its address is not valid." });
  const credentials = new TextEncoder().encode(`${user ?? ""}:${password ?? ""}`);
  return { base, headers: user ? { Authorization: `Basic ${btoa(String.fromCharCode(...credentials))}` } : {} };
}

/** @type {(response: import("./http.js").HttpResponse) => Failure} */
function failureFrom(response) {
  const body = tryParseJson(response);
  // It answers 404 also for a sampler or checkpoint that it does not have.
  const isUnknownPath = response.status === 404 && [undefined, "Not Found"].includes(body?.detail);
  if (isUnknownPath) return failureFromResponse(response, "was it started with --api?");
  const messages = [body?.error, body?.detail, body?.errors].filter((each) => each && typeof each === "string");
  return failureFromResponse(response, messages.join(": "));
}
