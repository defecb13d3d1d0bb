/** The built-in renderer: draws a test picture on this computer, the same one whenever the same is asked for. */

import { paintRow, scene } from "./scene.js";
import { pause } from "./waiting.js";

const BAND_PX = 1 << 19;
const LEAST_BANDS = 16;

/** @type {import("../shared/types.js").Provider} */
export const canvas = {
  kind: "canvas",
  title: "Test pictures",
  about: "Draws abstract pictures in this browser, to try everything out without a generator.",
  fields: [
    {
      name: "delayMs", label: "Pause after each step (ms)", type: "number", initial: 0, min: 0, max: 10_000,
      help: "More than 0 makes it slow enough to watch.",
    },
  ],
  origins: () => [],
  check: async () => "Ready: nothing else is needed.",
  generate,
};

/**
 * Band after band into one canvas, with a band's pixels as the only other memory.
 *
 * @param {import("../shared/types.js").Order} order
 * @param {import("../shared/types.js").Help} help
 */
async function generate(order, { signal, progress, settings }) {
  signal.throwIfAborted();
  const { width, height } = order;
  const surface = new OffscreenCanvas(width, height);
  const context = surface.getContext("2d", { alpha: false, willReadFrequently: true });
  if (!context) throw new Error(`No canvas of ${width} by ${height} px is to be had.`);
  const what = scene(seedOf(order), width, height);
  const rows = Math.max(1, Math.min(Math.ceil(height / LEAST_BANDS), Math.floor(BAND_PX / width)));
  try {
    for (let top = 0; top < height; top += rows) {
      progress(Math.floor((100 * top) / height), "Drawing");
      const band = new ImageData(width, Math.min(rows, height - top));
      for (let row = 0; row < band.height; row += 1) paintRow(what, top + row, band.data, 4 * width * row);
      context.putImageData(band, 0, top);
      await pause(Number(settings.delayMs) || 0, signal);
    }
    const picture = await surface.convertToBlob({ type: "image/png" });
    signal.throwIfAborted();
    progress(100, "Drawn");
    return picture;
  } finally {
    // Its memory goes now, not whenever the collector comes round: a large picture takes 256 MB.
    surface.width = surface.height = 0;
  }
}

/** @type {(order: import("../shared/types.js").Order) => string} */
function seedOf({ prompt, model, width, height, position, parameters }) {
  const seed = Number.isSafeInteger(parameters.seed) ? parameters.seed : "";
  return [prompt, model, `${width}x${height}`, position, seed].join("\0");
}
