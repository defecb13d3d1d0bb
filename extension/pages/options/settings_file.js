/** Converts settings to and from a file. No DOM. */

import { DEFAULTS } from "../../shared/settings.js";

/** @typedef {import("../../shared/types.js").Settings} Settings */
/** @typedef {import("../../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {(kind: string) => string[]} SecretFields  names of the secret settings of a provider kind */

const FORMAT = "imagefleet-settings-1";

/**
 * The text of the file. It contains no token and no keys, and no browser name, because two browsers must not share one.
 *
 * @param {Settings} settings
 * @param {SecretFields} secretFields
 */
export function formatSettingsFile({ server, concurrency, hours, providers }, secretFields) {
  const entries = providers.map((entry) => ({ ...entry, settings: without(entry.settings, secretFields(entry.kind)) }));
  return `${JSON.stringify({ format: FORMAT, server, concurrency, hours, providers: entries }, null, 2)}\n`;
}

/**
 * The changes to settings from a file. A file must not redirect secrets: the token is kept only for the same server,
 * and a key only if the provider's other settings are unchanged. Throws an Error with a message for the user.
 *
 * @param {string} text
 * @param {Settings} current
 * @param {SecretFields} secretFields
 * @returns {Partial<Settings>}
 */
export function parseSettingsFile(text, current, secretFields) {
  const file = parse(text);
  if (file.format !== FORMAT) throw new Error("This file does not contain settings of this extension.");
  const { concurrency, hours, providers } = file;
  const server = String(file.server ?? "");
  if (!Array.isArray(providers) || !providers.every(isEntry)) {
    throw new Error("The generators in this file are not valid.");
  }
  return {
    server,
    token: server === current.server ? current.token : "",
    concurrency: Number(concurrency),
    hours: readHours(hours),
    providers: providers.map((entry) => withSecrets(entry, current, secretFields)),
  };
}

/** @param {string} text */
function parse(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    throw new Error("This file is not JSON.");
  }
}

/** @param {any} entry @returns {entry is ProviderEntry} */
function isEntry(entry) {
  const { id, kind, name, enabled, models, settings } = Object(entry);
  const texts = (/** @type {unknown} */ list) => Array.isArray(list) && list.every((each) => typeof each === "string");
  const named = texts([id, kind, name]) && id && kind;
  return named && texts(models) && typeof enabled === "boolean" && Object(settings) === settings;
}

/** @param {any} hours @returns {Settings["hours"]} */
function readHours(hours) {
  const { enabled, days, from, to } = { ...DEFAULTS.hours, ...Object(hours) };
  const known = Array.isArray(days) ? days.filter((day) => Number.isInteger(day) && day >= 0 && day <= 6) : [];
  return { enabled: enabled === true, days: known, from: String(from), to: String(to) };
}

/**
 * @param {ProviderEntry} entry
 * @param {Settings} current
 * @param {SecretFields} secretFields
 * @returns {ProviderEntry}
 */
function withSecrets({ id, kind, name, enabled, models, settings }, current, secretFields) {
  const withoutSecrets = without(settings, secretFields(kind));
  const existing = current.providers.find((each) => each.id === id && each.kind === kind);
  const isUnchanged = existing && isEqual(without(existing.settings, secretFields(kind)), withoutSecrets);
  return { id, kind, name, enabled, models, settings: isUnchanged ? existing.settings : withoutSecrets };
}

/** Whether two values are equal, ignoring the order of fields. @param {unknown} a @param {unknown} b */
function isEqual(a, b) {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

/** @param {unknown} value @returns {unknown} */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(fields.map(([name, each]) => [name, sorted(each)]));
}

/** @param {Record<string, unknown>} values @param {string[]} names */
function without(values, names) {
  return Object.fromEntries(Object.entries(values).filter(([name]) => !names.includes(name)));
}
