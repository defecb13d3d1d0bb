/** Converts a generator's output to a picture that the service accepts. The type is detected from the first bytes. */

import { Failure } from "../shared/failures.js";
import { withoutMetadata } from "./picture_metadata.js";

/** @type {[string, number[], number][]}  type, signature, offset of the signature */
const SIGNATURES = [
  ["image/png", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], 0],
  ["image/jpeg", [0xff, 0xd8, 0xff], 0],
  ["image/webp", [0x57, 0x45, 0x42, 0x50], 8],
  ["image/gif", [0x47, 0x49, 0x46, 0x38], 0],
  ["image/avif", [0x66, 0x74, 0x79, 0x70, 0x61, 0x76, 0x69], 4],
];
const ACCEPTED_TYPES = new Set(["image/png", "image/jpeg", "image/webp"]);
const DATA_URL = /^data:[^,]*;base64,/i;

/**
 * Rejects with a Failure if the bytes are not a picture.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {string} host  the sender, for error messages
 * @returns {Promise<Blob>}
 */
export async function toPicture(bytes, host) {
  const found = SIGNATURES.find(([, signature, offset]) => {
    return signature.every((byte, index) => bytes[offset + index] === byte);
  });
  if (!found) throw noPicture(`${host} sent something that is not a picture.`);
  const [type] = found;
  const blob = new Blob(withoutMetadata(bytes, type), { type });
  return ACCEPTED_TYPES.has(blob.type) ? blob : convertToPng(blob, host);
}

/**
 * A picture in base64, or in a data: URL.
 *
 * @param {unknown} text
 * @param {string} host
 * @returns {Promise<Blob>}
 */
export async function pictureFromBase64(text, host) {
  return toPicture(decode(String(text).replace(DATA_URL, ""), host), host);
}

/** @type {(text: string, host: string) => Uint8Array<ArrayBuffer>} */
function decode(text, host) {
  const chars = tryDecode(text);
  if (chars === undefined) throw noPicture(`${host} sent a picture that is not valid base64.`);
  const bytes = new Uint8Array(chars.length);
  for (let index = 0; index < chars.length; index += 1) bytes[index] = chars.charCodeAt(index);
  return bytes;
}

/** @type {(text: string) => string | undefined} */
function tryDecode(text) {
  try {
    return atob(text);
  } catch {
    return undefined;
  }
}

/**
 * For types that browsers can decode and the service does not accept.
 *
 * @param {Blob} blob
 * @param {string} host
 */
async function convertToPng(blob, host) {
  try {
    const bitmap = await createImageBitmap(blob);
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    bitmap.close();
    return await canvas.convertToBlob({ type: "image/png" });
  } catch {
    throw noPicture(`${host} sent a picture that cannot be decoded.`);
  }
}

/** @type {(reason: string) => Failure} */
function noPicture(reason) {
  return new Failure("No picture received", { reason });
}
