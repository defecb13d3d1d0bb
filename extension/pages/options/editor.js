/** The dialog to edit one provider. It saves the settings and returns what it saved. */

import { permissionProblem } from "../../providers/readiness.js";
import { providers } from "../../providers/registry.js";
import { InvalidSettings, load, save } from "../../shared/settings.js";
import { byId, make, setChildren, setText } from "../dom.js";
import { fieldElements, makeField } from "./fields.js";
import { errorText, reportProblems, showProblem } from "./form.js";
import { formatModels, modelLabel, parseModels } from "./models.js";
import { requestPermissions } from "./permissions.js";

/** @typedef {import("../../shared/types.js").Settings} Settings */
/** @typedef {import("../../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {import("../../shared/types.js").ProviderKind} ProviderKind */
/** @typedef {{entry: ProviderEntry, settings: Settings}} EditResult */

const dialog = byId("editor", HTMLDialogElement);
const form = byId("editor-form", HTMLFormElement);
const nameInput = byId("entry-name", HTMLInputElement);
const modelsInput = byId("entry-models", HTMLInputElement);
const fieldsContainer = byId("editor-fields", HTMLElement);
const footerMessage = byId("editor-message", HTMLElement);

/** @type {import("./fields.js").FieldControl[]} */
let fields = [];
/** @type {(result: EditResult | null) => void} */
let finish = () => undefined;
/** @type {ProviderEntry} */
let entry;
/** @type {Settings} */
let settings;
let changed = false;
let isNew = false;

export function start() {
  form.addEventListener("submit", submit);
  form.addEventListener("input", onInput);
  byId("editor-cancel", HTMLButtonElement).addEventListener("click", cancel);
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    cancel();
  });
  dialog.addEventListener("close", () => finish(null));
}

/**
 * Create a provider. It is added at the top, because an existing one may handle every model already; but only once it
 * is allowed to work.
 *
 * @param {ProviderKind} kind
 * @param {Settings} current
 */
export function editNew(kind, current) {
  const provider = providers.get(kind);
  const title = provider?.title ?? kind;
  const initial = (provider?.fields ?? []).map(({ name, initial: value }) => [name, value]);
  /** @type {ProviderEntry} */
  const created = {
    id: crypto.randomUUID(), kind, name: uniqueName(title, current), enabled: true, models: ["*"],
    settings: Object.fromEntries(initial),
  };
  isNew = true;
  return open(created, current, `New generator: ${title}`);
}

/** @param {ProviderEntry} original @param {Settings} current */
export function edit(original, current) {
  isNew = false;
  return open(original, current, `Edit ${original.name}`);
}

/** @param {string} title @param {Settings} current */
function uniqueName(title, { providers: entries }) {
  const taken = new Set(entries.map(({ name }) => name));
  let name = title;
  for (let number = 2; taken.has(name); number += 1) name = `${title} ${number}`;
  return name;
}

/**
 * @param {ProviderEntry} original
 * @param {Settings} current
 * @param {string} title
 * @returns {Promise<EditResult | null>}
 */
function open(original, current, title) {
  const provider = providers.get(original.kind);
  entry = original;
  settings = current;
  changed = false;
  setText(byId("editor-title", HTMLElement), title);
  setText(byId("editor-about", HTMLElement), provider?.about ?? "");
  setText(byId("editor-problem", HTMLElement), "");
  setText(footerMessage, "");
  nameInput.value = original.name;
  modelsInput.value = formatModels(original.models);
  fields = (provider?.fields ?? []).map((field) => makeField(field, original.settings[field.name], current.server));
  setChildren(fieldsContainer, ...fieldElements(fields));
  reportProblems(controls(), {});
  showModels();
  dialog.showModal();
  nameInput.focus();
  return new Promise((resolve) => {
    finish = resolve;
  });
}

/** @returns {Record<string, HTMLElement>} */
function controls() {
  const own = Object.fromEntries(fields.map((each) => [fieldKey(each), each.control]));
  return { name: nameInput, models: modelsInput, ...own };
}

/** The prefix avoids conflicts with `name` and `models`. @param {import("./fields.js").FieldControl} control */
function fieldKey({ field }) {
  return `settings.${field.name}`;
}

/** @param {Event} event */
function onInput({ target }) {
  changed = true;
  setText(footerMessage, "");
  if (target instanceof HTMLElement) showProblem(target, "");
  if (target === modelsInput) showModels();
}

function showModels() {
  const names = parseModels(modelsInput.value);
  setChildren(byId("entry-models-chips", HTMLElement), ...names.map((model) => make("li", {}, modelLabel(model))));
}

/** Unsaved input is discarded only on the second attempt. */
function cancel() {
  if (changed) {
    changed = false;
    setText(footerMessage, "Your changes are not saved. Cancel again to discard them.", "bad");
  } else {
    dialog.close();
  }
}

/** @param {SubmitEvent} event */
async function submit(event) {
  event.preventDefault();
  const updated = read();
  if (!reportProblems(controls(), problems(updated))) return;
  // Chrome requires this before any `await`. A refusal is no error here: the list shows what is missing.
  const answer = updated.enabled ? requestPermissions(updated).catch(() => false) : Promise.resolve(false);
  try {
    const saved = await save({ providers: await withUpdated(updated) });
    finish({ entry: updated, settings: saved });
    dialog.close();
    if (isNew && await answer) await moveToTop(updated.id);
  } catch (problem) {
    showSaveError(problem);
  }
}

/** The entries with this one; a new one that is not allowed to work yet comes last. @param {ProviderEntry} updated */
async function withUpdated(updated) {
  if (isNew && await permissionProblem(updated)) return [...settings.providers, updated];
  if (isNew) return [updated, ...settings.providers];
  return settings.providers.map((each) => (each.id === updated.id ? updated : each));
}

/** @param {string} id */
async function moveToTop(id) {
  const { providers: entries } = await load();
  const moved = entries.filter((each) => each.id === id);
  if (entries[0] !== moved[0]) await save({ providers: [...moved, ...entries.filter((each) => each.id !== id)] });
}

/** @returns {ProviderEntry} */
function read() {
  const own = Object.fromEntries(fields.map((each) => [each.field.name, each.problem() ? undefined : each.read()]));
  const models = parseModels(modelsInput.value);
  return { ...entry, name: nameInput.value.trim(), models, settings: { ...entry.settings, ...own } };
}

/** @param {ProviderEntry} updated */
function problems(updated) {
  /** @type {Record<string, string>} */
  const found = Object.fromEntries(fields.map((each) => [fieldKey(each), each.problem()]));
  if (Object.values(found).every((message) => !message)) {
    const more = providers.get(updated.kind)?.problems?.(updated.settings) ?? {};
    for (const [name, message] of Object.entries(more)) found[`settings.${name}`] = message;
  }
  if (!updated.name) found.name = "Enter a name.";
  return found;
}

/** @param {unknown} problem */
function showSaveError(problem) {
  const own = problem instanceof InvalidSettings ? problem.problems : {};
  const of = (/** @type {string} */ name) => own[`providers.${entry.id}.${name}`];
  const shown = !reportProblems(controls(), { name: of("name"), models: of("models") });
  if (!shown) setText(byId("editor-problem", HTMLElement), errorText(problem));
}
