/** Makes a small WebP of an unfinished picture. */

const LONGEST_PX = 512;
/** The server takes no larger ones. */
const MAX_BYTES = 96 * 1024;
const QUALITIES = [0.75, 0.4];

/** @typedef {import("../shared/types.js").PreviewSource} PreviewSource */

/**
 * A canvas is copied before this returns, so the caller may go on drawing. Undefined if the preview is too large.
 *
 * @param {PreviewSource} source
 * @returns {Promise<Blob | undefined>}
 */
export async function toPreview(source) {
  const small = source instanceof Blob ? await decoded(source) : copyOf(source);
  for (const quality of QUALITIES) {
    const blob = await small.convertToBlob({ type: "image/webp", quality });
    if (blob.size <= MAX_BYTES) return blob;
  }
  return undefined;
}

/** @param {Blob} blob */
async function decoded(blob) {
  const bitmap = await createImageBitmap(blob);
  try {
    return copyOf(bitmap);
  } finally {
    bitmap.close();
  }
}

/** @param {OffscreenCanvas | ImageBitmap} source */
function copyOf(source) {
  const scale = Math.min(1, LONGEST_PX / Math.max(source.width, source.height));
  const [width, height] = [source.width, source.height].map((side) => Math.max(1, Math.round(side * scale)));
  const small = new OffscreenCanvas(width, height);
  small.getContext("2d")?.drawImage(source, 0, 0, width, height);
  return small;
}
