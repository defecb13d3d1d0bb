/** Getting finished pictures to the server: by the upload that it offers, else inside the report. */

import { dataUrl } from "./data_url.js";
import { Failure } from "./failures.js";
import { MOST_MESSAGE_BYTES } from "./protocol.js";

/** @typedef {import("../shared/types.js").Job} Job */
/** @typedef {import("../shared/types.js").UploadGrant} UploadGrant */
/** @typedef {import("./records.js").PictureRecord} PictureRecord */
/** @typedef {import("./ledger.js").Ledger} Ledger */

const MOST_INLINE_BYTES = 512 * 1024;
const ROOM_FOR_THE_REST_BYTES = 64 * 1024;
const PATIENCE_MS = 120_000;
const PAUSES_MS = [500, 1_500, 4_000];

/**
 * The URL of each picture, in order. What was sent under this lease before is not sent again. Rejects with a Failure.
 *
 * @param {Job} job
 * @param {Ledger} ledger
 * @param {AbortSignal} signal
 */
export async function handOver(job, ledger, signal) {
  const urls = [];
  let room = MOST_MESSAGE_BYTES - ROOM_FOR_THE_REST_BYTES;
  for (const picture of await ledger.pictures(job.requestId)) {
    const url = await urlOf(picture, job, ledger, signal);
    room -= url.length;
    if (room < 0) throw tooLarge("The pictures are too large for a message, and the upload did not take them.");
    urls.push(url);
  }
  return urls;
}

/** @param {PictureRecord} picture @param {Job} job @param {Ledger} ledger @param {AbortSignal} signal */
async function urlOf(picture, job, ledger, signal) {
  if (picture.url && picture.lease === job.lease) return picture.url;
  const url = job.upload && await uploaded(job.upload, picture, signal);
  if (url) {
    signal.throwIfAborted();
    await ledger.keepPicture({ ...picture, url, lease: job.lease });
    return url;
  }
  if (picture.blob.size > MOST_INLINE_BYTES) {
    throw tooLarge(`The picture has ${picture.blob.size} bytes, and the upload did not take it.`);
  }
  return dataUrl(picture.blob);
}

/**
 * The address that the upload answers; nothing where it does not take the picture.
 *
 * @param {UploadGrant} grant
 * @param {PictureRecord} picture
 * @param {AbortSignal} signal
 */
async function uploaded(grant, { blob, position }, signal) {
  if (grant.maxBytes !== undefined && blob.size > grant.maxBytes) {
    throw new Failure("The picture is too large", {
      reason: `The picture has ${blob.size} bytes; at most ${grant.maxBytes} are taken.`,
      retryable: false,
    });
  }
  for (const pauseMs of [...PAUSES_MS, 0]) {
    const answer = await put(grant, blob, position, signal);
    if (answer?.ok) return addressIn(answer);
    if (answer && answer.status < 500 && answer.status !== 429) return "";
    await pause(pauseMs, signal);
  }
  return "";
}

/** @param {UploadGrant} grant @param {Blob} blob @param {number} position @param {AbortSignal} signal */
async function put({ url, method, headers }, blob, position, signal) {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
  try {
    const target = `${url}${url.includes("?") ? "&" : "?"}position=${position}`;
    const described = { "Content-Type": blob.type || "image/png", ...headers };
    return await fetch(target, { method, headers: described, body: blob, signal: bounded, credentials: "omit" });
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

/** @param {Response} answer */
async function addressIn(answer) {
  const body = await answer.json().catch(() => ({}));
  return typeof body?.imageUrl === "string" ? body.imageUrl : "";
}

/** @param {number} ms @param {AbortSignal} signal  @returns {Promise<void>} */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** @param {string} reason */
function tooLarge(reason) {
  return new Failure("The extension cannot hand its pictures over", { reason });
}
