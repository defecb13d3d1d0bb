/** Whether it is time to work. */

/** @typedef {import("../shared/types.js").WorkingHours} WorkingHours */

/**
 * Whether `now` lies in the working hours. Those that go over midnight belong to the day on which they begin; those
 * that end when they begin last all day.
 *
 * @param {WorkingHours} hours
 * @param {Date} now
 */
export function isWorkingTime({ enabled, days, from, to }, now) {
  if (!enabled) return true;
  const [begin, end, minute] = [minutes(from), minutes(to), now.getHours() * 60 + now.getMinutes()];
  const today = now.getDay();
  const yesterday = (today + 6) % 7;
  if (begin < end) return days.includes(today) && minute >= begin && minute < end;
  return (days.includes(today) && minute >= begin) || (days.includes(yesterday) && minute < end);
}

/** @param {string} time  HH:MM */
function minutes(time) {
  const [hour, minute] = time.split(":").map(Number);
  return hour * 60 + minute;
}
