/** Whether a configured provider has all that it needs to take jobs: its settings, and the user's permissions. */

import { providers } from "./registry.js";
import { baseUrl } from "./validation.js";

/** @typedef {import("../shared/types.js").Provider} Provider */
/** @typedef {import("../shared/types.js").ProviderEntry} ProviderEntry */

/**
 * What is missing or wrong in an entry's settings, as a sentence; empty if nothing is.
 *
 * @param {ProviderEntry} entry
 * @returns {string}
 */
export function settingsProblem({ kind, settings }) {
  const provider = providers.get(kind);
  if (!provider) return "This version of the extension does not know this kind of generator.";
  const missing = provider.fields.find(({ name, required, initial }) => required && isEmpty(settings[name] ?? initial));
  if (missing) return `${missing.label} is missing.`;
  const invalid = provider.fields.find(({ name, type }) => {
    return type === "url" && !isEmpty(settings[name]) && !baseUrl(settings[name]);
  });
  if (invalid) return `${invalid.label} is not a valid address.`;
  return Object.values(provider.problems?.(settings) ?? {})[0] ?? "";
}

/**
 * The permissions that an entry needs; no hosts if its settings cannot be read.
 *
 * @param {ProviderEntry} entry
 * @returns {chrome.permissions.Permissions}
 */
export function requiredPermissions({ kind, settings }) {
  const provider = providers.get(kind);
  if (!provider) return {};
  const permissions = provider.permissions?.(settings) ?? [];
  return {
    origins: originsOf(provider, settings),
    permissions: /** @type {chrome.runtime.ManifestPermission[]} */ (permissions),
  };
}

/** The hosts that an entry needs, for display. @param {ProviderEntry} entry */
export function requiredHosts(entry) {
  return (requiredPermissions(entry).origins ?? []).map((pattern) => pattern.replace(/\/\*$/, "")).join(", ");
}

/** Which permission is missing, as a sentence; empty if none is. @param {ProviderEntry} entry */
export async function permissionProblem(entry) {
  if (await hasPermissions(entry)) return "";
  const where = requiredHosts(entry);
  return where ? `The extension is not allowed to access ${where} yet.`
    : "The extension does not have all permissions that this generator needs.";
}

/** @param {ProviderEntry} entry */
async function hasPermissions(entry) {
  try {
    return await chrome.permissions.contains(requiredPermissions(entry));
  } catch {
    return false;
  }
}

/** @type {(provider: Provider, settings: Record<string, unknown>) => string[]} */
function originsOf(provider, settings) {
  try {
    return provider.origins(settings);
  } catch {
    return [];
  }
}

/** @param {unknown} value */
function isEmpty(value) {
  return value === undefined || value === null || value === "";
}
