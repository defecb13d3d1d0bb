/** What was used to make the pictures of a job, for the report to the server. */

import { pictureSize } from "../providers/picture_size.js";

/** @typedef {import("../shared/types.js").Job} Job */
/** @typedef {import("./records.js").PictureRecord} PictureRecord */

const ALWAYS_USED = ["width", "height", "numberOfImages"];
const MAX_NAMES = 20;

/**
 * Metadata of the pictures: the size, seed and model that were really used, and the parameters that no generator used.
 *
 * @param {Job} job
 * @param {PictureRecord[]} pictures
 * @returns {Promise<Record<string, unknown>>}
 */
export async function usedValues({ parameters, inputImages = [] }, pictures) {
  const [first] = pictures;
  const { seed, model, revisedPrompt, parameters: used = [] } = first.used ?? {};
  const seeds = pictures.flatMap((picture) => picture.used?.seed ?? []);
  const hasStrength = inputImages.some(({ strength }) => strength !== undefined);
  const given = new Set([
    ...Object.keys(parameters).filter((name) => parameters[name] !== null), ...(hasStrength ? ["strength"] : []),
  ]);
  const ignored = [...given].filter((name) => ![...ALWAYS_USED, ...used].includes(name));
  const values = {
    ...await pictureSize(first.blob), seed, seeds: seeds.length > 1 ? seeds : undefined, model, revisedPrompt,
    ignoredParameters: ignored.length > 0 ? ignored.slice(0, MAX_NAMES) : undefined,
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
