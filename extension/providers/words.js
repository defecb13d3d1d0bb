/** Words of others, fit to be passed on. */

const MOST = 300;

/**
 * On one line, and not too many of them.
 *
 * @param {unknown} text
 * @returns {string}
 */
export function brief(text) {
  const line = String(text ?? "").replace(/[\s\p{C}]+/gu, " ").trim();
  return line.length > MOST ? `${line.slice(0, MOST - 1)}…` : line;
}
