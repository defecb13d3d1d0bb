/** Validation of settings, with messages for the user. */

/** @typedef {import("./types.js").Settings} Settings */
/** @typedef {import("./types.js").WorkingHours} WorkingHours */
/** @typedef {import("./types.js").ProviderEntry} ProviderEntry */
/** @typedef {Record<string, string>} Problems  messages by field; a dot separates the names of nested fields */

const MAX_CONCURRENCY = 8;
const MAX_TOKEN_CHARS = 8192;
const MAX_MODELS = 60; // the server accepts 64 capabilities
const MAX_MODEL_CHARS = 128;
const EXTENSION_ID = /^[A-Za-z0-9._:@-]{1,128}$/;
const TIME = /^([01]\d|2[0-3]):[0-5]\d$/;

/** Settings that cannot be saved; `problems` has a message for each invalid field. */
export class InvalidSettings extends Error {
  /** @param {Problems} problems */
  constructor(problems) {
    super(Object.values(problems).join(" "));
    this.name = "InvalidSettings";
    this.problems = problems;
  }
}

/**
 * A message for each invalid field: `server`, `token`, `extensionId`, `concurrency`, `hours.from`, `hours.to`,
 * `hours.days`, `providers.<id>.name`, `providers.<id>.models`. Empty if all are valid. The server may be empty.
 *
 * @param {Settings} settings
 * @returns {Problems}
 */
export function validate(settings) {
  const problems = {
    server: serverProblem(settings.server),
    token: tokenProblem(settings.token),
    extensionId: extensionIdProblem(settings.extensionId),
    concurrency: concurrencyProblem(settings.concurrency),
    ...(settings.hours.enabled ? hoursProblems(settings.hours) : {}),
    ...Object.assign({}, ...settings.providers.map(providerProblems)),
  };
  return Object.fromEntries(Object.entries(problems).filter(([, message]) => message));
}

/** @param {string} server */
function serverProblem(server) {
  if (!server) return "";
  if (!URL.canParse(server)) return "This is not a valid address. Example: https://pictures.example.com";
  const url = new URL(server);
  if (!["http:", "https:"].includes(url.protocol)) return "The address must start with http:// or https://";
  if (url.username || url.password) return "The address must not contain a user name or password.";
  return "";
}

/** @param {string} token */
function tokenProblem(token) {
  if (token.length > MAX_TOKEN_CHARS) return "This is too long for a token.";
  return /^[\x21-\x7e]*$/.test(token) ? "" : "A token cannot contain spaces or special characters.";
}

/** @param {string} extensionId */
function extensionIdProblem(extensionId) {
  return EXTENSION_ID.test(extensionId) ? "" : "Use 1 to 128 letters, digits and . _ : @ -";
}

/** @param {number} concurrency */
function concurrencyProblem(concurrency) {
  const isValid = Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= MAX_CONCURRENCY;
  return isValid ? "" : `Jobs at once must be a whole number from 1 to ${MAX_CONCURRENCY}.`;
}

/** @param {WorkingHours} hours */
function hoursProblems({ days, from, to }) {
  return {
    "hours.from": TIME.test(from) ? "" : "Enter a time such as 09:00",
    "hours.to": TIME.test(to) ? "" : "Enter a time such as 18:00",
    "hours.days": days.length > 0 ? "" : "Choose at least one day, or turn working hours off.",
  };
}

/** @param {ProviderEntry} entry */
function providerProblems({ id, name, models }) {
  return {
    [`providers.${id}.name`]: name.trim() ? "" : "Enter a name.",
    [`providers.${id}.models`]: modelsProblem(models),
  };
}

/** @param {string[]} models */
function modelsProblem(models) {
  if (models.length === 0) return "Enter at least one model, or * for all models.";
  if (models.length > MAX_MODELS) return `Enter at most ${MAX_MODELS} models.`;
  const invalid = models.find((model) => !model || model.length > MAX_MODEL_CHARS || /\p{Cc}/u.test(model));
  return invalid === undefined ? "" : "A model name must have 1 to 128 characters.";
}
