/** What AUTOMATIC1111's web UI needs to make a picture from another one (img2img). */

import { dataUrl } from "../shared/data_url.js";
import { invertedAlpha } from "./masks.js";

/** Its own default. */
const DEFAULT_STRENGTH = 0.75;
const CROP_AND_RESIZE = 1;
const FILL_WITH_ORIGINAL = 1;

/**
 * The fields of the request.
 *
 * @param {import("../shared/types.js").Inputs} inputs
 */
export async function inputFields({ images, mask, strength = DEFAULT_STRENGTH }) {
  const fields = {
    init_images: [await dataUrl(images[0])], denoising_strength: strength, resize_mode: CROP_AND_RESIZE,
  };
  if (!mask) return fields;
  return {
    ...fields, mask: await dataUrl(await invertedAlpha(mask)), inpainting_mask_invert: 0, inpaint_full_res: false,
    inpainting_fill: FILL_WITH_ORIGINAL,
  };
}
