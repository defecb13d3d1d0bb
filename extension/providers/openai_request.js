/** Builds requests to an images API. Model families support different fields and sizes. */

import { MAX_EXACT_SEED, requestedSeed, seedOf } from "./seeds.js";
import { isObject } from "./validation.js";

/** @typedef {import("../shared/types.js").InputSupport} InputSupport */
/** @typedef {import("../shared/types.js").PictureRequest} PictureRequest */

/** @type {InputSupport} */
const ALL_INPUTS = { operations: ["image-variation", "image-edit"], maxImages: 4 };

/**
 * @typedef {object} Family
 * @property {RegExp} names
 * @property {[number, number][]} sizes  the supported sizes; empty means any
 * @property {Record<string, string>} qualities  maps a job's quality to that of the model
 * @property {boolean} hasStyle
 * @property {boolean} hasSeed
 * @property {boolean} hasResponseFormat  if not, the response is always in base64
 * @property {InputSupport} [inputs]  what it can do with input pictures
 */

/** @type {Family[]} */
const FAMILIES = [
  {
    names: /^(gpt-image|chatgpt-image)/,
    sizes: [[1024, 1024], [1536, 1024], [1024, 1536]],
    qualities: { standard: "medium", hd: "high", low: "low", medium: "medium", high: "high", auto: "auto" },
    hasStyle: false,
    hasSeed: false,
    hasResponseFormat: false,
    inputs: ALL_INPUTS,
  },
  {
    names: /^dall-e-3/,
    sizes: [[1024, 1024], [1792, 1024], [1024, 1792]],
    qualities: { standard: "standard", hd: "hd" },
    hasStyle: true,
    hasSeed: false,
    hasResponseFormat: true,
  },
  {
    names: /^dall-e-2/,
    sizes: [[256, 256], [512, 512], [1024, 1024]],
    qualities: {},
    hasStyle: false,
    hasSeed: false,
    hasResponseFormat: true,
    // Without a mask it changes only what is transparent in the picture.
    inputs: { operations: ["image-edit"], maxImages: 1 },
  },
];
/** @type {Family} */
const OTHERS = {
  names: /^/, sizes: [], qualities: {}, hasStyle: false, hasSeed: true, hasResponseFormat: true, inputs: ALL_INPUTS,
};

/**
 * What the model that is used for a job's model can do with input pictures.
 *
 * @param {Record<string, any>} settings
 * @param {string} requested
 * @returns {InputSupport}
 */
export function inputSupport(settings, requested) {
  return familyOf(modelFor(requested, settings)).inputs ?? { operations: [], maxImages: 0 };
}

/**
 * The form for a picture that is made from others. Fully transparent pixels of the mask are those that change, as the
 * API has it.
 *
 * @param {Record<string, unknown>} body  what would be sent without input pictures
 * @param {import("../shared/types.js").Inputs} inputs
 */
export function editForm({ style: _, ...fields }, { images, mask }) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    form.append(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  const name = images.length > 1 ? "image[]" : "image";
  images.forEach((image, index) => form.append(name, image, `image-${index + 1}.png`));
  if (mask) form.append("mask", mask, "mask.png");
  return form;
}

/**
 * @param {PictureRequest} request
 * @param {Record<string, any>} settings
 * @returns {Record<string, unknown>}
 */
export function requestBody(request, settings) {
  const model = modelFor(request.model, settings);
  const family = familyOf(model);
  const { quality, style } = request.parameters;
  const fields = {
    model,
    prompt: request.prompt,
    n: 1,
    size: sizeFor(request, family, settings.size),
    quality: typeof quality === "string" && Object.hasOwn(family.qualities, quality) ? family.qualities[quality] : null,
    style: family.hasStyle && (style === "vivid" || style === "natural") ? style : null,
    seed: family.hasSeed ? seedFor(request) : null,
    response_format: family.hasResponseFormat ? "b64_json" : null,
    ...(isObject(settings.extra) ? settings.extra : {}),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

/** @param {string} model */
function familyOf(model) {
  return FAMILIES.find(({ names }) => names.test(model)) ?? OTHERS;
}

/**
 * Services that know no seed may reject the field, so it is sent only on request.
 *
 * @param {import("../shared/types.js").PictureRequest} request
 */
function seedFor(request) {
  return requestedSeed(request.parameters) === undefined ? null : seedOf(request, MAX_EXACT_SEED);
}

/** @type {(requested: string, settings: Record<string, any>) => string} */
function modelFor(requested, { mapping, model }) {
  const mapped = isObject(mapping) && Object.hasOwn(mapping, requested) ? mapping[requested] : undefined;
  return String(mapped || model || requested);
}

/** @type {(request: {width: number, height: number}, family: Family, choice: unknown) => string | null} */
function sizeFor({ width, height }, { sizes }, choice) {
  if (choice === "none") return null;
  if (choice === "exact" || sizes.length === 0) return `${width}x${height}`;
  const best = sizes.toSorted((a, b) => distance(a, width, height) - distance(b, width, height))[0];
  return best.join("x");
}

/** Weighs the shape more than the area. @type {(size: [number, number], width: number, height: number) => number} */
function distance([sizeWidth, sizeHeight], width, height) {
  const ratio = Math.abs(Math.log(sizeWidth / sizeHeight / (width / height)));
  const area = Math.abs(Math.log((sizeWidth * sizeHeight) / (width * height)));
  return 10 * ratio + area;
}
