/** How the built-in renderer uses input pictures: what it draws is laid over them, as opaque as `strength` says. */

import { decode } from "./masks.js";

/** @typedef {import("../shared/types.js").Inputs} Inputs */
/** @typedef {{blend: (band: ImageData, top: number) => void, free: () => void}} Overlay */

const DEFAULT_STRENGTH = 0.5;
const OPAQUE = 256;

/**
 * Reads the inputs at the size of the new picture. `blend` mixes a band of what was drawn with them; where there is a
 * mask, only where that is transparent. Several pictures are mixed in equal parts.
 *
 * @param {Inputs} inputs
 * @param {number} width
 * @param {number} height
 * @returns {Promise<Overlay>}
 */
export async function overlay({ images, mask, strength = DEFAULT_STRENGTH }, width, height) {
  const below = await surfaceOf(images, width, height, { alpha: false });
  const stencil = mask && await surfaceOf([mask], width, height, { alpha: true });
  const opacity = Math.round(strength * OPAQUE);
  return {
    blend: (band, top) => {
      const area = /** @type {const} */ ([0, top, width, band.height]);
      mix(band.data, below.getImageData(...area).data, stencil?.getImageData(...area).data, opacity);
    },
    free: () => {
      for (const { canvas } of [below, stencil].filter((each) => each !== undefined)) canvas.width = canvas.height = 0;
    },
  };
}

/** Like the rest of the renderer it uses only integers, and divisions round down. */
function mix(
  /** @type {Uint8ClampedArray} */ drawn, /** @type {Uint8ClampedArray} */ below,
  /** @type {Uint8ClampedArray | undefined} */ stencil, /** @type {number} */ opacity,
) {
  for (let pixel = 0; pixel < drawn.length; pixel += 4) {
    const share = stencil ? Math.floor((opacity * (255 - stencil[pixel + 3])) / 255) : opacity;
    for (let at = pixel; at < pixel + 3; at += 1) {
      drawn[at] = below[at] + Math.floor(((drawn[at] - below[at]) * share) / OPAQUE);
    }
  }
}

/** @type {(blobs: Blob[], width: number, height: number, options: {alpha: boolean}) => Promise<any>} */
async function surfaceOf(blobs, width, height, { alpha }) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { alpha, willReadFrequently: true });
  if (!context) throw new Error(`A canvas of ${width} by ${height} px is not available.`);
  if (!alpha) {
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, width, height);
  }
  for (const [index, blob] of blobs.entries()) {
    context.globalAlpha = 1 / (index + 1);
    drawFilling(context, await decode(blob));
  }
  return context;
}

/** Fills the canvas and keeps the shape: what does not fit is cut off. */
function drawFilling(/** @type {OffscreenCanvasRenderingContext2D} */ context, /** @type {ImageBitmap} */ bitmap) {
  const { width, height } = context.canvas;
  const scale = Math.max(width / bitmap.width, height / bitmap.height);
  const [wide, high] = [bitmap.width * scale, bitmap.height * scale];
  context.drawImage(bitmap, (width - wide) / 2, (height - high) / 2, wide, high);
  bitmap.close();
}
