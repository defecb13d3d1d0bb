/** The built-in renderer: draws a test picture in the browser. The same request always gives the same picture. */

import { sleep } from "./abortable.js";
import { overlay } from "./canvas_inputs.js";
import { paintRow, scene } from "./scene.js";
import { requestedSeed, wireSeed } from "./seeds.js";

const MAX_BAND_PX = 1 << 19;
const MIN_BANDS = 16;

/** @type {import("../shared/types.js").Provider} */
export const canvas = {
  kind: "canvas",
  title: "Test pictures",
  about: "Draws abstract pictures in this browser, so that you can try everything without a generator.",
  fields: [
    {
      name: "delayMs", label: "Delay after each step (ms)", type: "number", initial: 0, min: 0, max: 10_000,
      help: "Slows the drawing down so that you can watch the progress.",
    },
  ],
  origins: () => [],
  check: async () => "Ready to use.",
  inputs: () => ({ operations: ["image-variation", "image-edit"], maxImages: 4 }),
  generate,
  resumes: true,
};

/**
 * Draws band by band into one canvas, so that only one band of pixels is in memory besides it.
 *
 * @param {import("../shared/types.js").PictureRequest} request
 * @param {import("../shared/types.js").GenerationContext} context
 */
async function generate(request, { signal, progress, previews, used, settings }) {
  signal.throwIfAborted();
  used(usedIn(request));
  const { width, height, inputs } = request;
  const surface = new OffscreenCanvas(width, height);
  const context = surface.getContext("2d", { alpha: false, willReadFrequently: true });
  if (!context) throw new Error(`A canvas of ${width} by ${height} px is not available.`);
  const image = scene(seedText(request), width, height);
  const below = inputs && await overlay(inputs, width, height);
  const rows = Math.max(1, Math.min(Math.ceil(height / MIN_BANDS), Math.floor(MAX_BAND_PX / width)));
  try {
    for (let top = 0; top < height; top += rows) {
      progress(Math.floor((100 * top) / height), "Drawing");
      const band = new ImageData(width, Math.min(rows, height - top));
      for (let row = 0; row < band.height; row += 1) paintRow(image, top + row, band.data, 4 * width * row);
      below?.blend(band, top);
      context.putImageData(band, 0, top);
      void previews?.show(surface);
      await sleep(Number(settings.delayMs) || 0, signal);
    }
    const picture = await surface.convertToBlob({ type: "image/png" });
    signal.throwIfAborted();
    progress(100, "Done");
    return picture;
  } finally {
    // Frees the memory at once instead of at the next garbage collection: a large picture takes 256 MB.
    surface.width = surface.height = 0;
    below?.free();
  }
}

/** @type {(request: import("../shared/types.js").PictureRequest) => import("../shared/types.js").Used} */
function usedIn({ parameters, inputs }) {
  const seed = requestedSeed(parameters);
  const names = [...(seed === undefined ? [] : ["seed"]), ...(inputs ? ["strength"] : [])];
  return { seed: seed === undefined ? undefined : wireSeed(seed), parameters: names };
}

/** @type {(request: import("../shared/types.js").PictureRequest) => string} */
function seedText({ prompt, model, width, height, position, parameters }) {
  const seed = requestedSeed(parameters) ?? "";
  return [prompt, model, `${width}x${height}`, position, seed].join("\0");
}
