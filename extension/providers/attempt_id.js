/** Ids of work in a generator that stay the same when a later worker continues an attempt. */

const HEX_DIGITS = 32;

/**
 * A UUID that depends only on the attempt and the position of the picture.
 *
 * @param {Pick<import("../shared/types.js").PictureRequest, "attempt" | "position">} request
 * @returns {Promise<string>}
 */
export async function attemptId({ attempt, position }) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${attempt} ${position}`));
  const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  // Version 8 with the variant of RFC 9562: some generators accept nothing but a well-formed UUID.
  const digits = `${hex.slice(0, 12)}8${hex.slice(13, 16)}a${hex.slice(17, HEX_DIGITS)}`;
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
