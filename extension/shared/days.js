/** Counts of finished jobs per calendar day, in local time. */

/** @typedef {import("./types.js").Status["today"]} DailyCounts */

/** @param {Date} now  @returns {string}  YYYY-MM-DD, local */
export function localDate(now) {
  const [month, day] = [now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0"));
  return `${now.getFullYear()}-${month}-${day}`;
}

/**
 * The counts for today: zero if `counts` belong to another day.
 *
 * @param {DailyCounts} counts
 * @param {Date} now
 * @returns {DailyCounts}
 */
export function countsToday(counts, now) {
  const date = localDate(now);
  return counts.date === date ? counts : { date, done: 0, failed: 0 };
}
