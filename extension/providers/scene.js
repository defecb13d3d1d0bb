/**
 * The pictures of the built-in renderer: a sky, a sun with a glow, discs, and layers of hills.
 *
 * Uses only integers, so that any language can draw the same pixels. Divisions round down. Opacities and mixing ratios
 * go from 0 to 256; distances at edges are in 1/256 px.
 */

/** @typedef {[number, number, number]} Colour */
/** @typedef {{x: number, y: number, radius: number, colour: Colour, opacity: number}} Disc */
/** @typedef {{ridge: Int32Array, top: Colour, foot: Colour}} Hill */
/**
 * @typedef {object} Scene
 * @property {number} width
 * @property {number} height
 * @property {Colour[]} sky  at the top, the middle and the horizon
 * @property {number} slant  vertical shift of the sky across the whole width, in 1/1024 of the height
 * @property {Disc} sun
 * @property {number} glow  radius
 * @property {Disc[]} discs
 * @property {Hill[]} hills
 */

const TURN = 1024;
const HALF = TURN / 2;
const HILLS = 5;
const DISCS = 9;
const HUES = 1536;

/**
 * Choose all random values of a picture.
 *
 * @param {string} seed  the same seed and size make the same scene
 * @param {number} width
 * @param {number} height
 * @returns {Scene}
 */
export function scene(seed, width, height) {
  const random = randomGenerator(seed);
  const hue = random(HUES);
  const turn = (random(2) ? 1 : -1) * (90 + random(170));
  const side = Math.min(width, height);
  const sky = [tint(hue, 150, 58), tint(hue + turn, 165, 128), tint(hue + 2 * turn, 225, 205)];
  const slant = random(401) - 200;
  const radius = Math.floor((side * (60 + random(50))) / 1024) + 2;
  const sun = {
    x: Math.floor((width * (220 + random(585))) / 1024),
    y: Math.floor((height * (180 + random(260))) / 1024),
    radius,
    colour: tint(hue + 2 * turn, 240, 238),
    opacity: 240,
  };
  const discs = Array.from({ length: DISCS }, () => ({
    x: random(width),
    y: Math.floor((height * random(800)) / 1024),
    radius: Math.floor((side * (12 + random(80))) / 1024) + 1,
    colour: tint(hue + turn + random(401) - 200, 180, 150 + random(80)),
    opacity: 24 + random(56),
  }));
  const hills = Array.from({ length: HILLS }, (_, number) => hill(random, number, hue + turn, width, height));
  return { width, height, sky, slant, sun, glow: radius * 5, discs, hills };
}

/**
 * Paint one row.
 *
 * @param {Scene} image
 * @param {number} y
 * @param {Uint8ClampedArray} pixels  red, green, blue, alpha
 * @param {number} offset  of the row in `pixels`
 */
export function paintRow(image, y, pixels, offset) {
  paintSky(image, y, pixels, offset);
  paintGlow(image, y, pixels, offset);
  for (const disc of [image.sun, ...image.discs]) paintDisc(disc, image.width, y, pixels, offset);
  for (const each of image.hills) paintHill(each, image, y, pixels, offset);
}

/**
 * @param {(below: number) => number} random
 * @param {number} number  0 for the farthest
 * @param {number} hue
 * @param {number} width
 * @param {number} height
 * @returns {Hill}
 */
function hill(random, number, hue, width, height) {
  const level = 520 + number * 88 + random(50);
  const swing = 92 - number * 9;
  const waves = [1, 2, 5, 11].map((times) => ({
    turns: Math.floor((TURN * times * (48 + random(60))) / 100),
    phase: random(TURN),
    height: Math.floor(swing / times),
  }));
  const ridge = new Int32Array(width);
  for (let x = 0; x < width; x += 1) {
    let rise = level * 256;
    for (const wave of waves) {
      const angle = (Math.floor((wave.turns * x) / width) + wave.phase) % TURN;
      rise += 2 * wave.height * sine(angle);
    }
    ridge[x] = Math.floor((rise * height) / 1024);
  }
  const light = 150 - number * 28;
  return { ridge, top: tint(hue + number * 26, 120, light), foot: tint(hue + 60 + number * 26, 130, light - 26) };
}

/** @type {(image: Scene, y: number, pixels: Uint8ClampedArray, offset: number) => void} */
function paintSky(image, y, pixels, offset) {
  const { width, height, sky: [top, middle, horizon], slant } = image;
  for (let x = 0; x < width; x += 1) {
    const lean = Math.floor((slant * x) / width);
    const down = Math.min(1023, Math.max(0, Math.floor((y * 1400) / height) + lean));
    const [from, to] = down < 512 ? [top, middle] : [middle, horizon];
    const ratio = Math.floor((down % 512) / 2);
    const pixel = offset + 4 * x;
    for (let channel = 0; channel < 3; channel += 1) {
      pixels[pixel + channel] = mix(from[channel], to[channel], ratio);
    }
    pixels[pixel + 3] = 255;
  }
}

/** @type {(image: Scene, y: number, pixels: Uint8ClampedArray, offset: number) => void} */
function paintGlow({ width, sun, glow }, y, pixels, offset) {
  const reach = glow * glow;
  const rise = (y - sun.y) * (y - sun.y);
  if (rise >= reach) return;
  for (let x = Math.max(0, sun.x - glow); x < Math.min(width, sun.x + glow + 1); x += 1) {
    const distance = reach - rise - (x - sun.x) * (x - sun.x);
    if (distance <= 0) continue;
    const strength = Math.floor((distance * 256) / reach);
    blend(pixels, offset + 4 * x, sun.colour, Math.floor((strength * strength) / 450));
  }
}

/** @type {(disc: Disc, width: number, y: number, pixels: Uint8ClampedArray, offset: number) => void} */
function paintDisc(disc, width, y, pixels, offset) {
  const { radius, opacity } = disc;
  const rise = (y - disc.y) * (y - disc.y);
  for (let x = Math.max(0, disc.x - radius - 1); x < Math.min(width, disc.x + radius + 2); x += 1) {
    const inside = radius * radius - rise - (x - disc.x) * (x - disc.x);
    const edge = Math.floor((inside * 128) / radius) + 128;
    if (edge > 0) blend(pixels, offset + 4 * x, disc.colour, Math.floor((Math.min(256, edge) * opacity) / 256));
  }
}

/** @type {(hill: Hill, image: Scene, y: number, pixels: Uint8ClampedArray, offset: number) => void} */
function paintHill({ ridge, top, foot }, { width, height }, y, pixels, offset) {
  const row = y * 256 + 256;
  /** @type {Colour} */
  const colour = [0, 0, 0];
  for (let x = 0; x < width; x += 1) {
    const depth = row - ridge[x];
    if (depth <= 0) continue;
    const ratio = Math.min(256, Math.floor((depth * 3) / height));
    for (let channel = 0; channel < 3; channel += 1) colour[channel] = mix(top[channel], foot[channel], ratio);
    blend(pixels, offset + 4 * x, colour, Math.min(256, depth));
  }
}

/** @type {(pixels: Uint8ClampedArray, pixel: number, colour: Colour, opacity: number) => void} */
function blend(pixels, pixel, colour, opacity) {
  for (let channel = 0; channel < 3; channel += 1) {
    pixels[pixel + channel] = mix(pixels[pixel + channel], colour[channel], opacity);
  }
}

/** @type {(from: number, to: number, ratio: number) => number} */
function mix(from, to, ratio) {
  return from + Math.floor(((to - from) * ratio) / 256);
}

/**
 * Convert from HSL.
 *
 * @param {number} hue  in 1/1536 turns; any integer
 * @param {number} saturation  0 to 255
 * @param {number} lightness  0 to 255
 * @returns {Colour}
 */
function tint(hue, saturation, lightness) {
  const wrapped = ((hue % HUES) + HUES) % HUES;
  const strong = Math.floor(((255 - Math.abs(2 * lightness - 255)) * saturation) / 255);
  const within = wrapped % 512;
  const between = Math.floor((strong * (256 - Math.abs(within - 256))) / 256);
  const low = lightness - Math.floor(strong / 2);
  const sixth = Math.floor(wrapped / 256);
  const shares = [
    [strong, between, 0], [between, strong, 0], [0, strong, between],
    [0, between, strong], [between, 0, strong], [strong, 0, between],
  ][sixth];
  return [low + shares[0], low + shares[1], low + shares[2]];
}

/**
 * The sine, from -128 to 128, of an angle from 0 to 1023, by Bhaskara's approximation.
 *
 * @param {number} angle
 */
function sine(angle) {
  const part = (angle % HALF) * (HALF - (angle % HALF));
  const size = Math.floor((128 * 16 * part) / (5 * HALF * HALF - 4 * part));
  return angle < HALF ? size : -size;
}

/**
 * A deterministic random number generator: xorshift, seeded with FNV-1a.
 *
 * @param {string} seed
 * @returns {(below: number) => number}
 */
function randomGenerator(seed) {
  let state = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(seed)) state = Math.imul(state ^ byte, 0x01000193) >>> 0;
  state ||= 1;
  return (below) => {
    state = (state ^ (state << 13)) >>> 0;
    state = (state ^ (state >>> 17)) >>> 0;
    state = (state ^ (state << 5)) >>> 0;
    return state % below;
  };
}
