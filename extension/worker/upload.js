/** Uploads finished pictures. If the server offers no upload, they are embedded in the report as data: URLs. */

import { sleep } from "../providers/abortable.js";
import { Failure } from "../shared/failures.js";
import { dataUrl } from "../shared/data_url.js";
import { MAX_MESSAGE_BYTES } from "./protocol.js";

/** @typedef {import("../shared/types.js").Job} Job */
/** @typedef {import("../shared/types.js").UploadGrant} UploadGrant */
/** @typedef {import("./job_store.js").JobStore} JobStore */
/** @typedef {import("./records.js").PictureRecord} PictureRecord */

const MAX_INLINE_BYTES = 512 * 1024;
/** Reserved for the other fields of the message. */
const RESERVED_BYTES = 64 * 1024;
const TIMEOUT_MS = 120_000;
const RETRY_DELAYS_MS = [500, 1_500, 4_000];

/**
 * The URLs of the job's pictures, in order. Pictures that were uploaded under the same lease are not sent again.
 * Rejects with a Failure.
 *
 * @param {Job} job
 * @param {JobStore} store
 * @param {AbortSignal} signal
 */
export async function uploadPictures(job, store, signal) {
  const urls = [];
  let remainingBytes = MAX_MESSAGE_BYTES - RESERVED_BYTES;
  for (const picture of await store.pictures(job.requestId)) {
    const url = await pictureUrl(picture, job, store, signal);
    remainingBytes -= url.length;
    if (remainingBytes < 0) throw undeliverable("The pictures are too large for a message, and the upload failed.");
    urls.push(url);
  }
  return urls;
}

/** @param {PictureRecord} picture @param {Job} job @param {JobStore} store @param {AbortSignal} signal */
async function pictureUrl(picture, job, store, signal) {
  if (picture.url && picture.lease === job.lease) return picture.url;
  const url = job.upload && await upload(job.upload, picture, signal);
  if (url) {
    signal.throwIfAborted();
    await store.savePicture({ ...picture, url, lease: job.lease });
    return url;
  }
  if (picture.blob.size > MAX_INLINE_BYTES) {
    throw undeliverable(`The picture has ${picture.blob.size} bytes, and the upload failed.`);
  }
  return dataUrl(picture.blob);
}

/**
 * The URL of the uploaded picture; empty if the upload failed.
 *
 * @param {UploadGrant} grant
 * @param {PictureRecord} picture
 * @param {AbortSignal} signal
 */
async function upload(grant, { blob, position }, signal) {
  if (grant.maxBytes !== undefined && blob.size > grant.maxBytes) {
    throw new Failure("The picture is too large", {
      reason: `The picture has ${blob.size} bytes; the maximum is ${grant.maxBytes}.`,
      retryable: false,
    });
  }
  for (const delayMs of [...RETRY_DELAYS_MS, 0]) {
    const response = await put(grant, blob, position, signal);
    if (response?.ok) return imageUrlFrom(response);
    if (response && response.status < 500 && response.status !== 429) return "";
    await sleep(delayMs, signal);
  }
  return "";
}

/** @param {UploadGrant} grant @param {Blob} blob @param {number} position @param {AbortSignal} signal */
async function put({ url, method, headers }, blob, position, signal) {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    const target = `${url}${url.includes("?") ? "&" : "?"}position=${position}`;
    const allHeaders = { "Content-Type": blob.type || "image/png", ...headers };
    return await fetch(target, { method, headers: allHeaders, body: blob, signal: bounded, credentials: "omit" });
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

/** @param {Response} response */
async function imageUrlFrom(response) {
  const body = await response.json().catch(() => ({}));
  return typeof body?.imageUrl === "string" ? body.imageUrl : "";
}

/** @param {string} reason */
function undeliverable(reason) {
  return new Failure("The pictures could not be delivered", { reason });
}
