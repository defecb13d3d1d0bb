/** Whether settings can be used, and where not, why: in sentences for the user. */

/** @typedef {import("./types.js").Settings} Settings */
/** @typedef {import("./types.js").WorkingHours} WorkingHours */
/** @typedef {import("./types.js").ProviderEntry} ProviderEntry */
/** @typedef {Record<string, string>} Problems  what is wrong, by the field; a dot leads into one */

export const MOST_AT_ONCE = 8;
const MOST_TOKEN_CHARS = 8192;
const MOST_NAMES = 60; // the server takes 64 capabilities
const MOST_NAME_CHARS = 128;
const EXTENSION_ID = /^[A-Za-z0-9._:@-]{1,128}$/;
const TIME = /^([01]\d|2[0-3]):[0-5]\d$/;

/** Settings that cannot be saved; `problems` says why. */
export class Unfit extends Error {
  /** @param {Problems} problems */
  constructor(problems) {
    super(Object.values(problems).join(" "));
    this.name = "Unfit";
    this.problems = problems;
  }
}

/**
 * What is wrong, by the field: `server`, `token`, `extensionId`, `concurrency`, `hours.from`, `hours.to`, `hours.days`,
 * `providers.<id>.name`, `providers.<id>.models`. Nothing where all is well; that no server is set yet is no problem.
 *
 * @param {Settings} settings
 * @returns {Problems}
 */
export function check(settings) {
  const problems = {
    server: serverProblem(settings.server),
    token: tokenProblem(settings.token),
    extensionId: extensionIdProblem(settings.extensionId),
    concurrency: concurrencyProblem(settings.concurrency),
    ...(settings.hours.enabled ? hoursProblems(settings.hours) : {}),
    ...Object.assign({}, ...settings.providers.map(providerProblems)),
  };
  return Object.fromEntries(Object.entries(problems).filter(([, sentence]) => sentence));
}

/** @param {string} server */
function serverProblem(server) {
  if (!server) return "";
  if (!URL.canParse(server)) return "This is no address. One looks like https://pictures.example.com";
  const url = new URL(server);
  if (!["http:", "https:"].includes(url.protocol)) return "The address must begin with http:// or https://";
  if (url.username || url.password) return "The address must hold no name and no password.";
  return "";
}

/** @param {string} token */
function tokenProblem(token) {
  if (token.length > MOST_TOKEN_CHARS) return "This is too long to be a token.";
  return /^[\x21-\x7e]*$/.test(token) ? "" : "A token has no spaces and no special characters in it.";
}

/** @param {string} extensionId */
function extensionIdProblem(extensionId) {
  return EXTENSION_ID.test(extensionId) ? "" : "The name has 1 to 128 letters, digits and . _ : @ -";
}

/** @param {number} concurrency */
function concurrencyProblem(concurrency) {
  const fits = Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= MOST_AT_ONCE;
  return fits ? "" : `Jobs at once must be a whole number from 1 to ${MOST_AT_ONCE}.`;
}

/** @param {WorkingHours} hours */
function hoursProblems({ days, from, to }) {
  return {
    "hours.from": TIME.test(from) ? "" : "A time looks like 09:00",
    "hours.to": TIME.test(to) ? "" : "A time looks like 18:00",
    "hours.days": days.length > 0 ? "" : "Choose at least one day, or switch working hours off.",
  };
}

/** @param {ProviderEntry} entry */
function providerProblems({ id, name, models }) {
  return {
    [`providers.${id}.name`]: name.trim() ? "" : "Give it a name.",
    [`providers.${id}.models`]: modelsProblem(models),
  };
}

/** @param {string[]} models */
function modelsProblem(models) {
  if (models.length === 0) return "Name at least one model, or * for all.";
  if (models.length > MOST_NAMES) return `These are more than ${MOST_NAMES} models.`;
  const bad = models.find((model) => !model || model.length > MOST_NAME_CHARS || /\p{Cc}/u.test(model));
  return bad === undefined ? "" : "The name of a model has 1 to 128 characters.";
}
