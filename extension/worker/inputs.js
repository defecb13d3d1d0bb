/** Fetches the input pictures of a job, and checks that they are what the server announced. */

import { sleep } from "../providers/abortable.js";
import { sendRequest, Unreachable } from "../providers/http.js";
import { pictureSize } from "../providers/picture_size.js";
import { Failure } from "../shared/failures.js";
import { MAX_SIDE_PX } from "./picture_requests.js";

/** @typedef {import("../shared/types.js").InputImage} InputImage */
/** @typedef {import("../shared/types.js").Inputs} Inputs */
/** @typedef {import("../shared/types.js").Job} Job */

const MIB = 1024 * 1024;
/** A server that accepts larger pictures may send larger ones. */
const MAX_BYTES = 20 * MIB;
const TIMEOUT_MS = 120_000;
const RETRY_DELAYS_MS = [500, 1_500, 4_000];
const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/**
 * The input pictures; undefined if the job has none. Only their addresses are stored, so a later worker fetches them
 * again. Rejects with a Failure that names the input and the reason.
 *
 * @param {Job} job
 * @param {AbortSignal} signal
 * @returns {Promise<Inputs | undefined>}
 */
export async function fetchInputs({ inputImages, upload }, signal, delaysMs = RETRY_DELAYS_MS) {
  if (!inputImages) return undefined;
  const maxBytes = Math.max(MAX_BYTES, upload?.maxBytes ?? 0);
  const fetched = await Promise.all(inputImages.map(async (input, index) => {
    const name = nameOf(inputImages, index);
    const bytes = await fetchInput(input, name, { maxBytes, delaysMs, signal });
    return { input, ...await checkPicture(bytes, input, name) };
  }));
  const images = fetched.filter(({ input }) => input.role === "image");
  const mask = fetched.find(({ input }) => input.role === "mask");
  const [{ size }] = images;
  if (mask && !isEqual(mask.size, size)) {
    throw unusable("The mask", `has ${text(mask.size)} px, and the picture has ${text(size)}`);
  }
  const strength = images.map(({ input }) => input.strength).find((each) => each !== undefined);
  return { images: images.map(({ blob }) => blob), size, mask: mask?.blob, strength };
}

/** @type {(inputs: InputImage[], index: number) => string} */
function nameOf(inputs, index) {
  if (inputs[index].role === "mask") return "The mask";
  return `Input picture ${inputs.slice(0, index + 1).filter(({ role }) => role === "image").length}`;
}

/**
 * @typedef {object} FetchOptions
 * @property {number} maxBytes
 * @property {number[]} delaysMs  between attempts
 * @property {AbortSignal} signal
 */

/** @type {(input: InputImage, name: string, options: FetchOptions) => Promise<Uint8Array<ArrayBuffer>>} */
async function fetchInput({ url }, name, { maxBytes, delaysMs, signal }) {
  let problem = "";
  for (const delayMs of [0, ...delaysMs]) {
    await sleep(delayMs, signal);
    const answer = await tryToFetch(url, name, maxBytes, signal);
    if (answer?.status === 200) return answer.bytes;
    problem = answer ? `the server answered with status ${answer.status}` : "the server cannot be reached";
    if (answer && answer.status < 500 && answer.status !== 429) break;
  }
  throw new Failure("An input picture is not available", { reason: `${name} cannot be fetched: ${problem}.` });
}

/** The answer; undefined if there is none. @type {(...given: [string, string, number, AbortSignal]) => Promise<any>} */
async function tryToFetch(url, name, maxBytes, signal) {
  try {
    return await sendRequest(url, { signal, maxBytes, timeoutMs: TIMEOUT_MS });
  } catch (problem) {
    signal.throwIfAborted();
    if (problem instanceof Unreachable) return undefined;
    throw unusable(name, `has more than ${Math.floor(maxBytes / MIB)} MiB`);
  }
}

/** @type {(bytes: Uint8Array<ArrayBuffer>, input: InputImage, name: string) => Promise<{blob: Blob, size: any}>} */
async function checkPicture(bytes, { sha256 }, name) {
  if (await digestOf(bytes) !== sha256) {
    // It may have been damaged on its way, so another attempt may succeed.
    const reason = `${name} is not the file that the server announced: its SHA-256 is another one.`;
    throw new Failure("An input picture is damaged", { reason });
  }
  const blob = new Blob([bytes], { type: "image/png" });
  const isPng = PNG_SIGNATURE.every((byte, index) => bytes[index] === byte);
  const size = isPng ? await pictureSize(blob) : undefined;
  if (!size?.width || !size.height) throw unusable(name, "is not a PNG file");
  if (Math.max(size.width, size.height) > MAX_SIDE_PX) {
    throw unusable(name, `has ${text(size)} px; each side may have ${MAX_SIDE_PX}`);
  }
  return { blob, size };
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
async function digestOf(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @typedef {import("../providers/picture_size.js").Size} Size */

/** @type {(a: Size, b: Size) => boolean} */
function isEqual(a, b) {
  return a.width === b.width && a.height === b.height;
}

/** @param {Size} size */
function text({ width, height }) {
  return `${width} × ${height}`;
}

/** What no other attempt can change. @type {(name: string, problem: string) => Failure} */
function unusable(name, problem) {
  return new Failure("An input picture cannot be used", { reason: `${name} ${problem}.`, retryable: false });
}
