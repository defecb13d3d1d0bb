/** What is asked of an images API for an order: each family of models has its own idea of fields and sizes. */

import { isObject } from "./fields.js";

/**
 * @typedef {object} Family
 * @property {RegExp} names
 * @property {[number, number][]} sizes  that it makes; any, where there is none
 * @property {Record<string, string>} qualities  what it calls the contract's, and its own
 * @property {boolean} styled
 * @property {boolean} formatted  whether it may be told how to answer; if not, it always answers in base64
 */

/** @type {Family[]} */
const FAMILIES = [
  {
    names: /^(gpt-image|chatgpt-image)/,
    sizes: [[1024, 1024], [1536, 1024], [1024, 1536]],
    qualities: { standard: "medium", hd: "high", low: "low", medium: "medium", high: "high", auto: "auto" },
    styled: false,
    formatted: false,
  },
  {
    names: /^dall-e-3/,
    sizes: [[1024, 1024], [1792, 1024], [1024, 1792]],
    qualities: { standard: "standard", hd: "hd" },
    styled: true,
    formatted: true,
  },
  { names: /^dall-e-2/, sizes: [[256, 256], [512, 512], [1024, 1024]], qualities: {}, styled: false, formatted: true },
];
/** @type {Family} */
const OTHERS = { names: /^/, sizes: [], qualities: {}, styled: false, formatted: true };

/**
 * The body of the request.
 *
 * @param {import("../shared/types.js").Order} order
 * @param {Record<string, any>} settings
 * @returns {Record<string, unknown>}
 */
export function sent(order, settings) {
  const model = modelOf(order.model, settings);
  const family = FAMILIES.find(({ names }) => names.test(model)) ?? OTHERS;
  const { quality, style } = order.parameters;
  const fields = {
    model,
    prompt: order.prompt,
    n: 1,
    size: sizeOf(order, family, settings.size),
    quality: typeof quality === "string" && Object.hasOwn(family.qualities, quality) ? family.qualities[quality] : null,
    style: family.styled && (style === "vivid" || style === "natural") ? style : null,
    response_format: family.formatted ? "b64_json" : null,
    ...(isObject(settings.extra) ? settings.extra : {}),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

/** @type {(wanted: string, settings: Record<string, any>) => string} */
function modelOf(wanted, { mapping, model }) {
  const mapped = isObject(mapping) && Object.hasOwn(mapping, wanted) ? mapping[wanted] : undefined;
  return String(mapped || model || wanted);
}

/** @type {(order: {width: number, height: number}, family: Family, choice: unknown) => string | null} */
function sizeOf({ width, height }, { sizes }, choice) {
  if (choice === "none") return null;
  if (choice === "exact" || sizes.length === 0) return `${width}x${height}`;
  const best = sizes.toSorted((one, other) => distance(one, width, height) - distance(other, width, height))[0];
  return best.join("x");
}

/** The shape counts first, then the size. @type {(size: [number, number], width: number, height: number) => number} */
function distance([wide, high], width, height) {
  const shape = Math.abs(Math.log(wide / high / (width / height)));
  const area = Math.abs(Math.log((wide * high) / (width * height)));
  return 10 * shape + area;
}
