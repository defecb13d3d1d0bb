/** Requests the permissions that a provider needs. */

import { requiredPermissions } from "../../providers/readiness.js";

/**
 * Ask the user for the permissions. Chrome allows this only directly in an event handler, before any `await`.
 *
 * @param {import("../../shared/types.js").ProviderEntry} entry
 */
export function requestPermissions(entry) {
  return chrome.permissions.request(requiredPermissions(entry));
}
