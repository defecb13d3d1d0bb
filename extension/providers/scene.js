/**
 * The pictures of the built-in renderer: a sky, a sun with its glow, drifting discs, hills one behind the other.
 *
 * Whole numbers alone, so that any language can draw the same pixels: no floating point, no text, no curves of the
 * browser's. Divisions round down. Shares and covers go from 0 to 256; distances across edges are in 1/256 px.
 */

/** @typedef {[number, number, number]} Colour */
/** @typedef {{x: number, y: number, radius: number, colour: Colour, cover: number}} Disc */
/** @typedef {{ridge: Int32Array, top: Colour, foot: Colour}} Hill */
/**
 * @typedef {object} Scene
 * @property {number} width
 * @property {number} height
 * @property {Colour[]} sky  from the top, through the middle, to the horizon
 * @property {number} slant  how far the sky leans over the whole width, in 1/1024 of the height
 * @property {Disc} sun
 * @property {number} glow  its radius
 * @property {Disc[]} discs
 * @property {Hill[]} hills
 */

const TURN = 1024;
const HALF = TURN / 2;
const HILLS = 5;
const DISCS = 9;
const WHEEL = 1536;

/**
 * Everything that chance decides, decided.
 *
 * @param {string} seed  the same seed and size make the same scene
 * @param {number} width
 * @param {number} height
 * @returns {Scene}
 */
export function scene(seed, width, height) {
  const chance = dice(seed);
  const hue = chance(WHEEL);
  const turn = (chance(2) ? 1 : -1) * (90 + chance(170));
  const less = Math.min(width, height);
  const sky = [tint(hue, 150, 58), tint(hue + turn, 165, 128), tint(hue + 2 * turn, 225, 205)];
  const slant = chance(401) - 200;
  const radius = Math.floor((less * (60 + chance(50))) / 1024) + 2;
  const sun = {
    x: Math.floor((width * (220 + chance(585))) / 1024),
    y: Math.floor((height * (180 + chance(260))) / 1024),
    radius,
    colour: tint(hue + 2 * turn, 240, 238),
    cover: 240,
  };
  const discs = Array.from({ length: DISCS }, () => ({
    x: chance(width),
    y: Math.floor((height * chance(800)) / 1024),
    radius: Math.floor((less * (12 + chance(80))) / 1024) + 1,
    colour: tint(hue + turn + chance(401) - 200, 180, 150 + chance(80)),
    cover: 24 + chance(56),
  }));
  const hills = Array.from({ length: HILLS }, (_, number) => hill(chance, number, hue + turn, width, height));
  return { width, height, sky, slant, sun, glow: radius * 5, discs, hills };
}

/**
 * Paint one row.
 *
 * @param {Scene} what
 * @param {number} y
 * @param {Uint8ClampedArray} pixels  red, green, blue, alpha
 * @param {number} at  where the row begins in it
 */
export function paintRow(what, y, pixels, at) {
  paintSky(what, y, pixels, at);
  paintGlow(what, y, pixels, at);
  for (const disc of [what.sun, ...what.discs]) paintDisc(disc, what.width, y, pixels, at);
  for (const each of what.hills) paintHill(each, what, y, pixels, at);
}

/**
 * @param {(below: number) => number} chance
 * @param {number} number  0 for the farthest
 * @param {number} hue
 * @param {number} width
 * @param {number} height
 * @returns {Hill}
 */
function hill(chance, number, hue, width, height) {
  const level = 520 + number * 88 + chance(50);
  const swing = 92 - number * 9;
  const waves = [1, 2, 5, 11].map((times) => ({
    turns: Math.floor((TURN * times * (48 + chance(60))) / 100),
    phase: chance(TURN),
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

/** @type {(what: Scene, y: number, pixels: Uint8ClampedArray, at: number) => void} */
function paintSky(what, y, pixels, at) {
  const { width, height, sky: [top, middle, horizon], slant } = what;
  for (let x = 0; x < width; x += 1) {
    const lean = Math.floor((slant * x) / width);
    const down = Math.min(1023, Math.max(0, Math.floor((y * 1400) / height) + lean));
    const [from, to] = down < 512 ? [top, middle] : [middle, horizon];
    const share = Math.floor((down % 512) / 2);
    const pixel = at + 4 * x;
    for (let channel = 0; channel < 3; channel += 1) {
      pixels[pixel + channel] = mixed(from[channel], to[channel], share);
    }
    pixels[pixel + 3] = 255;
  }
}

/** @type {(what: Scene, y: number, pixels: Uint8ClampedArray, at: number) => void} */
function paintGlow({ width, sun, glow }, y, pixels, at) {
  const reach = glow * glow;
  const rise = (y - sun.y) * (y - sun.y);
  if (rise >= reach) return;
  for (let x = Math.max(0, sun.x - glow); x < Math.min(width, sun.x + glow + 1); x += 1) {
    const rest = reach - rise - (x - sun.x) * (x - sun.x);
    if (rest <= 0) continue;
    const near = Math.floor((rest * 256) / reach);
    blend(pixels, at + 4 * x, sun.colour, Math.floor((near * near) / 450));
  }
}

/** @type {(disc: Disc, width: number, y: number, pixels: Uint8ClampedArray, at: number) => void} */
function paintDisc(disc, width, y, pixels, at) {
  const { radius, cover } = disc;
  const rise = (y - disc.y) * (y - disc.y);
  for (let x = Math.max(0, disc.x - radius - 1); x < Math.min(width, disc.x + radius + 2); x += 1) {
    const inside = radius * radius - rise - (x - disc.x) * (x - disc.x);
    const edge = Math.floor((inside * 128) / radius) + 128;
    if (edge > 0) blend(pixels, at + 4 * x, disc.colour, Math.floor((Math.min(256, edge) * cover) / 256));
  }
}

/** @type {(hill: Hill, what: Scene, y: number, pixels: Uint8ClampedArray, at: number) => void} */
function paintHill({ ridge, top, foot }, { width, height }, y, pixels, at) {
  const row = y * 256 + 256;
  /** @type {Colour} */
  const colour = [0, 0, 0];
  for (let x = 0; x < width; x += 1) {
    const depth = row - ridge[x];
    if (depth <= 0) continue;
    const share = Math.min(256, Math.floor((depth * 3) / height));
    for (let channel = 0; channel < 3; channel += 1) colour[channel] = mixed(top[channel], foot[channel], share);
    blend(pixels, at + 4 * x, colour, Math.min(256, depth));
  }
}

/** @type {(pixels: Uint8ClampedArray, pixel: number, colour: Colour, cover: number) => void} */
function blend(pixels, pixel, colour, cover) {
  for (let channel = 0; channel < 3; channel += 1) {
    pixels[pixel + channel] = mixed(pixels[pixel + channel], colour[channel], cover);
  }
}

/** @type {(from: number, to: number, share: number) => number} */
function mixed(from, to, share) {
  return from + Math.floor(((to - from) * share) / 256);
}

/**
 * A colour of the wheel.
 *
 * @param {number} hue  in 1/1536 turns; may be beyond them, and below 0
 * @param {number} saturation  0 to 255
 * @param {number} lightness  0 to 255
 * @returns {Colour}
 */
function tint(hue, saturation, lightness) {
  const at = ((hue % WHEEL) + WHEEL) % WHEEL;
  const strong = Math.floor(((255 - Math.abs(2 * lightness - 255)) * saturation) / 255);
  const within = at % 512;
  const between = Math.floor((strong * (256 - Math.abs(within - 256))) / 256);
  const low = lightness - Math.floor(strong / 2);
  const sixth = Math.floor(at / 256);
  const shares = [
    [strong, between, 0], [between, strong, 0], [0, strong, between],
    [0, between, strong], [between, 0, strong], [strong, 0, between],
  ][sixth];
  return [low + shares[0], low + shares[1], low + shares[2]];
}

/**
 * A sine of -128 to 128 for an angle of 0 to 1023, after Bhaskara.
 *
 * @param {number} angle
 */
function sine(angle) {
  const part = (angle % HALF) * (HALF - (angle % HALF));
  const size = Math.floor((128 * 16 * part) / (5 * HALF * HALF - 4 * part));
  return angle < HALF ? size : -size;
}

/**
 * Dice that fall the same way for the same seed: FNV-1a makes the state, xorshift rolls.
 *
 * @param {string} seed
 * @returns {(below: number) => number}
 */
function dice(seed) {
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
