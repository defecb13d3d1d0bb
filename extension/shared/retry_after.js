/** The Retry-After header (RFC 9110, section 10.2.3): whole seconds or a date. */

const TIME = /\d\d:\d\d:\d\d/; // without one, Date.parse takes any number for a year
const ENDS_IN_ZONE = /([a-z]|[+-]\d\d:?\d\d)$/i;

/**
 * The wait in ms; undefined if the header cannot be read. A date without a zone is in UTC, as all HTTP dates are.
 *
 * @param {string | null} header
 * @returns {number | undefined}
 */
export function retryAfterMs(header) {
  const text = (header ?? "").trim();
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  if (!TIME.test(text)) return undefined;
  const ms = Date.parse(ENDS_IN_ZONE.test(text) ? text : `${text} UTC`) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
