/** Prepares text from other services for display. */

const MAX_CHARS = 300;

/**
 * The text on one line, truncated.
 *
 * @param {unknown} text
 * @returns {string}
 */
export function shorten(text) {
  const line = String(text ?? "").replace(/[\s\p{C}]+/gu, " ").trim();
  return line.length > MAX_CHARS ? `${line.slice(0, MAX_CHARS - 1)}…` : line;
}
