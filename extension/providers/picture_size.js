/** Reads the size of a picture from the start of its file. */

/** @typedef {{width: number, height: number}} Size  in px */

const HEAD_BYTES = 256 * 1024;
const PNG = 0x89504e47;
const RIFF = 0x52494646;
const JPEG_START = 0xffd8;
/** SOF0 to SOF15, without DHT, JPG and DAC, which share the range. */
const isFrame = (/** @type {number} */ marker) => (marker & 0xf0) === 0xc0 && ![0xc4, 0xc8, 0xcc].includes(marker);

/**
 * The size of a PNG, JPEG or WebP picture; undefined if it cannot be read.
 *
 * @param {Blob} blob
 * @returns {Promise<Size | undefined>}
 */
export async function pictureSize(blob) {
  const view = new DataView(await blob.slice(0, HEAD_BYTES).arrayBuffer());
  try {
    if (view.getUint32(0) === PNG) return { width: view.getUint32(16), height: view.getUint32(20) };
    if (view.getUint32(0) === RIFF) return webpSize(view);
    return view.getUint16(0) === JPEG_START ? jpegSize(view) : undefined;
  } catch (problem) {
    if (problem instanceof RangeError) return undefined;
    throw problem;
  }
}

/** @param {DataView} view  @returns {Size | undefined} */
function webpSize(view) {
  const kind = String.fromCharCode(...[12, 13, 14, 15].map((at) => view.getUint8(at)));
  const uint24 = (/** @type {number} */ at) => view.getUint16(at, true) + (view.getUint8(at + 2) << 16);
  if (kind === "VP8X") return { width: uint24(24) + 1, height: uint24(27) + 1 };
  if (kind === "VP8 ") return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  if (kind !== "VP8L") return undefined;
  const bits = view.getUint32(21, true);
  return { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 };
}

/** @param {DataView} view  @returns {Size} */
function jpegSize(view) {
  let at = 2;
  while (!isFrame(view.getUint8(at + 1))) at += 2 + view.getUint16(at + 2);
  return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
}
