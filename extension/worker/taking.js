/** Whether new work is taken, and if not, why. */

import { isWorkingTime } from "./hours.js";

/** @typedef {import("../shared/types.js").Settings} Settings */
/** @typedef {import("../shared/types.js").Status["notTaking"]} NotTaking */

/**
 * @param {Settings} settings
 * @param {Date} now
 * @returns {NotTaking}  "" where work is taken
 */
export function whyNotTaking(settings, now) {
  if (settings.paused) return "paused";
  if (!settings.providers.some((entry) => entry.enabled)) return "providers";
  return isWorkingTime(settings.hours, now) ? "" : "hours";
}
