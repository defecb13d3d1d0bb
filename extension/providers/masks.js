/**
 * Masks. In those of jobs, fully transparent pixels are where the picture may change, as in OpenAI's API. ComfyUI's
 * nodes read them like that, too.
 */

import { Failure } from "../shared/failures.js";

/**
 * The mask as a grey picture that is white where the picture may change, which Stable Diffusion web UIs expect.
 *
 * @param {Blob} mask
 * @returns {Promise<Blob>}
 */
export async function invertedAlpha(mask) {
  const bitmap = await decode(mask);
  const { width, height } = bitmap;
  const context = surface(width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const image = context.getImageData(0, 0, width, height);
  for (let pixel = 0; pixel < image.data.length; pixel += 4) {
    image.data.fill(255 - image.data[pixel + 3], pixel, pixel + 3);
    image.data[pixel + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return context.canvas.convertToBlob({ type: "image/png" });
}

/**
 * A mask that lets everything change.
 *
 * @param {{width: number, height: number}} size
 * @returns {Promise<Blob>}
 */
export async function openMask({ width, height }) {
  return surface(width, height).canvas.convertToBlob({ type: "image/png" });
}

/** @type {(width: number, height: number) => OffscreenCanvasRenderingContext2D} */
function surface(width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error(`A canvas of ${width} by ${height} px is not available.`);
  return context;
}

/** An input picture, decoded. Rejects with a Failure if it is none. @param {Blob} blob */
export async function decode(blob) {
  try {
    return await createImageBitmap(blob, { colorSpaceConversion: "none" });
  } catch {
    throw new Failure("An input picture cannot be used", { reason: "It cannot be decoded.", retryable: false });
  }
}
