/** Whether the extension accepts new jobs. */

import { isWorkingTime } from "./working_hours.js";

/** @typedef {import("../shared/types.js").Settings} Settings */
/** @typedef {import("../shared/types.js").Status["notTaking"]} UnavailableReason */

/**
 * Why no new jobs are accepted; empty if they are.
 *
 * @param {Settings} settings
 * @param {Date} now
 * @returns {UnavailableReason}
 */
export function unavailableReason(settings, now) {
  if (settings.paused) return "paused";
  if (!settings.providers.some((entry) => entry.enabled)) return "providers";
  return isWorkingTime(settings.hours, now) ? "" : "hours";
}
