/** The hosts and permissions that a provider needs: what is missing, and the asking for it. */

import { providers } from "../../providers/registry.js";

/** @typedef {import("../../shared/types.js").ProviderEntry} ProviderEntry */

/**
 * What an entry needs; nothing where its settings say nothing that can be read.
 *
 * @param {ProviderEntry} entry
 * @returns {chrome.permissions.Permissions}
 */
export function needs({ kind, settings }) {
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

/** Whether the browser has granted all of it. @param {ProviderEntry} entry */
export async function granted(entry) {
  try {
    return await chrome.permissions.contains(needs(entry));
  } catch {
    return false;
  }
}

/**
 * Ask the user for it; only a click or a key may do so, and nothing may be awaited before.
 *
 * @param {ProviderEntry} entry
 */
export function request(entry) {
  return chrome.permissions.request(needs(entry));
}

/** The hosts, as one names them to somebody. @param {ProviderEntry} entry */
export function hosts(entry) {
  return (needs(entry).origins ?? []).map((pattern) => pattern.replace(/\/\*$/, "")).join(", ");
}
