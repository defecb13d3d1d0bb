/** Encodes a Blob as a data: URL. */

const CHUNK_BYTES = 0x8000;

/** @param {Blob} blob */
export async function dataUrl(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    text += String.fromCharCode(...bytes.subarray(at, at + CHUNK_BYTES));
  }
  return `data:${blob.type || "image/png"};base64,${btoa(text)}`;
}
