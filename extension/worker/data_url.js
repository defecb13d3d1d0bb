/** Bytes as text. */

const PIECE_BYTES = 0x8000;

/** @param {Blob} blob */
export async function dataUrl(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    text += String.fromCharCode(...bytes.subarray(at, at + PIECE_BYTES));
  }
  return `data:${blob.type || "image/png"};base64,${btoa(text)}`;
}
