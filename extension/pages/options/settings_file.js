/** Settings as a file: what goes into it and what is taken from it. No elements here. */

import { DEFAULTS } from "../../shared/settings.js";

/** @typedef {import("../../shared/types.js").Settings} Settings */
/** @typedef {import("../../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {(kind: string) => string[]} Secrets  the names of a kind's settings that are secret */

const FORMAT = "imagefleet-settings-1";

/**
 * The text of the file. Neither the token nor a key is in it, nor the name of this browser: two must not share one.
 *
 * @param {Settings} settings
 * @param {Secrets} secrets
 */
export function write({ server, concurrency, hours, providers }, secrets) {
  const open = providers.map((entry) => ({ ...entry, settings: without(entry.settings, secrets(entry.kind)) }));
  return `${JSON.stringify({ format: FORMAT, server, concurrency, hours, providers: open }, null, 2)}\n`;
}

/**
 * The changes that a file asks for. What is secret goes nowhere else by a file: the token stays with the server that it
 * is for, and a key with the very settings that it was typed in with. Throws an Error with a sentence.
 *
 * @param {string} text
 * @param {Settings} now
 * @param {Secrets} secrets
 * @returns {Partial<Settings>}
 */
export function read(text, now, secrets) {
  const file = parse(text);
  if (file.format !== FORMAT) throw new Error("This file does not hold settings of this extension.");
  const { concurrency, hours, providers } = file;
  const server = String(file.server ?? "");
  if (!Array.isArray(providers) || !providers.every(isEntry)) {
    throw new Error("The generators in this file cannot be read.");
  }
  return {
    server,
    token: server === now.server ? now.token : "",
    concurrency: Number(concurrency),
    hours: readHours(hours),
    providers: providers.map((entry) => withSecrets(entry, now, secrets)),
  };
}

/** @param {string} text */
function parse(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    throw new Error("This file is no JSON.");
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

/** @param {ProviderEntry} entry @param {Settings} now @param {Secrets} secrets @returns {ProviderEntry} */
function withSecrets({ id, kind, name, enabled, models, settings }, now, secrets) {
  const open = without(settings, secrets(kind));
  const here = now.providers.find((each) => each.id === id && each.kind === kind);
  const same = here && alike(without(here.settings, secrets(kind)), open);
  return { id, kind, name, enabled, models, settings: same ? here.settings : open };
}

/** Whether two values are the same, in whatever order their fields stand. @param {unknown} a @param {unknown} b */
function alike(a, b) {
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
