/** Pictures as they come from generators: recognised by their first bytes, whatever anybody calls them. */

import { Failure } from "../worker/failures.js";

/** @type {[string, number[], number][]} the type, the bytes that tell it, and where they stand */
const SIGNATURES = [
  ["image/png", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], 0],
  ["image/jpeg", [0xff, 0xd8, 0xff], 0],
  ["image/webp", [0x57, 0x45, 0x42, 0x50], 8],
  ["image/gif", [0x47, 0x49, 0x46, 0x38], 0],
  ["image/avif", [0x66, 0x74, 0x79, 0x70, 0x61, 0x76, 0x69], 4],
];
const TAKEN = new Set(["image/png", "image/jpeg", "image/webp"]);
const DATA_URL = /^data:[^,]*;base64,/i;

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {string} from  who sent them
 * @returns {Promise<Blob>}
 */
export async function picture(bytes, from) {
  const found = SIGNATURES.find(([, signature, at]) => signature.every((byte, index) => bytes[at + index] === byte));
  if (!found) throw nothing(`${from} sent something that is no picture.`);
  const blob = new Blob([bytes], { type: found[0] });
  return TAKEN.has(blob.type) ? blob : asPng(blob, from);
}

/**
 * A picture in base64, with or without `data:` before it.
 *
 * @param {unknown} text
 * @param {string} from
 * @returns {Promise<Blob>}
 */
export async function pictureFromText(text, from) {
  return picture(bytesOf(String(text).replace(DATA_URL, ""), from), from);
}

/** @type {(text: string, from: string) => Uint8Array<ArrayBuffer>} */
function bytesOf(text, from) {
  const chars = decoded(text);
  if (chars === undefined) throw nothing(`${from} sent a picture that is not proper base64.`);
  const bytes = new Uint8Array(chars.length);
  for (let at = 0; at < chars.length; at += 1) bytes[at] = chars.charCodeAt(at);
  return bytes;
}

/** @type {(text: string) => string | undefined} */
function decoded(text) {
  try {
    return atob(text);
  } catch {
    return undefined;
  }
}

/**
 * For what browsers show and the service does not store.
 *
 * @param {Blob} blob
 * @param {string} from
 */
async function asPng(blob, from) {
  try {
    const bitmap = await createImageBitmap(blob);
    const surface = new OffscreenCanvas(bitmap.width, bitmap.height);
    surface.getContext("2d")?.drawImage(bitmap, 0, 0);
    bitmap.close();
    return await surface.convertToBlob({ type: "image/png" });
  } catch {
    throw nothing(`${from} sent a picture that cannot be read.`);
  }
}

/** @type {(reason: string) => Failure} */
function nothing(reason) {
  return new Failure("No picture came", { reason });
}
