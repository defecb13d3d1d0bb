/** Checks and requests the permissions that a provider needs. */

import { providers } from "../../providers/registry.js";

/** @typedef {import("../../shared/types.js").ProviderEntry} ProviderEntry */

/**
 * The permissions that an entry needs; no hosts if its settings cannot be read.
 *
 * @param {ProviderEntry} entry
 * @returns {chrome.permissions.Permissions}
 */
function requiredPermissions({ kind, settings }) {
  const provider = providers.get(kind);
  if (!provider) return {};
  const permissions = provider.permissions?.(settings) ?? [];
  return {
    origins: origins(provider, settings),
    permissions: /** @type {chrome.runtime.ManifestPermission[]} */ (permissions),
  };
}

/** @param {import("../../shared/types.js").Provider} provider @param {Record<string, unknown>} settings */
function origins(provider, settings) {
  try {
    return provider.origins(settings);
  } catch {
    return [];
  }
}

/** Whether the browser has granted all permissions. @param {ProviderEntry} entry */
export async function hasPermissions(entry) {
  try {
    return await chrome.permissions.contains(requiredPermissions(entry));
  } catch {
    return false;
  }
}

/**
 * Ask the user for the permissions. Chrome allows this only directly in an event handler, before any `await`.
 *
 * @param {ProviderEntry} entry
 */
export function requestPermissions(entry) {
  return chrome.permissions.request(requiredPermissions(entry));
}

/** The hosts that an entry needs, for display. @param {ProviderEntry} entry */
export function requiredHosts(entry) {
  return (requiredPermissions(entry).origins ?? []).map((pattern) => pattern.replace(/\/\*$/, "")).join(", ");
}
