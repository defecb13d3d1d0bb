/**
 * Removes text from pictures: ComfyUI writes the whole workflow into its files, AUTOMATIC1111 the prompt and all
 * settings. Pixels and colours stay as they are, bit for bit.
 */

/** What a PNG needs to be shown; everything else is text, or can be left out. */
const PNG_CHUNKS = new Set([
  "IHDR", "PLTE", "IDAT", "IEND", "tRNS", "gAMA", "cHRM", "sRGB", "iCCP", "cICP", "mDCV", "cLLI", "sBIT", "bKGD",
  "pHYs",
]);
const PNG_SIGNATURE_BYTES = 8;
const PNG_CHUNK_OVERHEAD = 12;

const JPEG_START_OF_SCAN = 0xda;
const JPEG_COMMENT = 0xfe;
/** APP0 (JFIF), APP2 (colour profile) and APP14 (Adobe: the colour space) belong to the picture. */
const JPEG_APPLICATION_KEPT = new Set([0xe0, 0xe2, 0xee]);

const WEBP_HEADER_BYTES = 12;
const WEBP_DROPPED = new Set(["EXIF", "XMP "]);
const WEBP_EXIF_AND_XMP_FLAGS = 0b1100;

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/** @type {Record<string, (bytes: Bytes) => Bytes[]>} */
const STRIPPERS = { "image/png": pngParts, "image/jpeg": jpegParts, "image/webp": webpParts };

/**
 * The parts of the file without its metadata; of a type that is not known here, the file as it is.
 *
 * @param {Bytes} bytes
 * @param {string} type
 * @returns {Bytes[]}
 */
export function withoutMetadata(bytes, type) {
  return STRIPPERS[type]?.(bytes) ?? [bytes];
}

/** @param {Bytes} bytes */
function pngParts(bytes) {
  const parts = [bytes.subarray(0, PNG_SIGNATURE_BYTES)];
  const view = viewOf(bytes);
  for (let at = PNG_SIGNATURE_BYTES; at + PNG_CHUNK_OVERHEAD <= bytes.length;) {
    const type = textAt(bytes, at + 4);
    const end = at + PNG_CHUNK_OVERHEAD + view.getUint32(at);
    if (PNG_CHUNKS.has(type)) parts.push(bytes.subarray(at, end));
    if (type === "IEND") break;
    at = end;
  }
  return parts;
}

/** @param {Bytes} bytes */
function jpegParts(bytes) {
  const parts = [bytes.subarray(0, 2)];
  const view = viewOf(bytes);
  for (let at = 2; at + 4 <= bytes.length;) {
    const marker = bytes[at + 1];
    if (bytes[at] !== 0xff || marker === JPEG_START_OF_SCAN) return [...parts, bytes.subarray(at)];
    const end = at + 2 + view.getUint16(at + 2);
    const isDropped = marker === JPEG_COMMENT || (isApplication(marker) && !JPEG_APPLICATION_KEPT.has(marker));
    if (!isDropped) parts.push(bytes.subarray(at, end));
    at = end;
  }
  return parts;
}

/** @param {number} marker */
function isApplication(marker) {
  return marker >= 0xe0 && marker <= 0xef;
}

/** @param {Bytes} bytes */
function webpParts(bytes) {
  const parts = [bytes.slice(0, WEBP_HEADER_BYTES)];
  const view = viewOf(bytes);
  for (let at = WEBP_HEADER_BYTES; at + 8 <= bytes.length;) {
    const type = textAt(bytes, at);
    const size = view.getUint32(at + 4, true);
    const end = at + 8 + size + (size % 2);
    const chunk = bytes.slice(at, end);
    if (type === "VP8X") chunk[8] &= ~WEBP_EXIF_AND_XMP_FLAGS;
    if (!WEBP_DROPPED.has(type)) parts.push(chunk);
    at = end;
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  viewOf(parts[0]).setUint32(4, length - 8, true);
  return parts;
}

/** @param {Bytes} bytes */
function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @type {(bytes: Bytes, at: number) => string} */
function textAt(bytes, at) {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}
