/** Checks the user's working hours. */

/** @typedef {import("../shared/types.js").WorkingHours} WorkingHours */

/**
 * Whether `now` is within the working hours. Hours past midnight belong to the day on which they start. Hours that end
 * at the time they start last 24 hours.
 *
 * @param {WorkingHours} hours
 * @param {Date} now
 */
export function isWorkingTime({ enabled, days, from, to }, now) {
  if (!enabled) return true;
  const [start, end, minute] = [minutes(from), minutes(to), now.getHours() * 60 + now.getMinutes()];
  const today = now.getDay();
  const yesterday = (today + 6) % 7;
  if (start < end) return days.includes(today) && minute >= start && minute < end;
  return (days.includes(today) && minute >= start) || (days.includes(yesterday) && minute < end);
}

/** @param {string} time  HH:MM */
function minutes(time) {
  const [hour, minute] = time.split(":").map(Number);
  return hour * 60 + minute;
}
