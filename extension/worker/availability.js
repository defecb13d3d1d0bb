/** Whether the extension accepts new jobs. */

import { NO_MODEL } from "../providers/registry.js";
import { isWorkingTime } from "./working_hours.js";

/** @typedef {import("../shared/types.js").Settings} Settings */
/** @typedef {import("../shared/types.js").Status["notTaking"]} UnavailableReason */
/** @typedef {Pick<import("./provider_states.js").ProviderStates, "ready" | "capabilities">} Providers */

/**
 * Why no new jobs are accepted; empty if they are.
 *
 * @param {Settings} settings
 * @param {Providers} providers
 * @param {Date} now
 * @returns {UnavailableReason}
 */
export function unavailableReason(settings, providers, now) {
  if (settings.paused) return "paused";
  if (!settings.providers.some((entry) => entry.enabled)) return "providers";
  if (providers.ready.length === 0) return "setup";
  if (!isWorkingTime(settings.hours, now)) return "hours";
  return providers.capabilities.includes(NO_MODEL) ? "resting" : "";
}
