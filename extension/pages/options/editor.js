/** The dialog in which one provider is set up. It saves, and answers with what it saved. */

import { providers } from "../../providers/registry.js";
import { save, Unfit } from "../../shared/settings.js";
import { byId, fill, make, say } from "../dom.js";
import { request } from "./access.js";
import { arranged, makeField } from "./fields.js";
import { mark, passes, sentenceOf } from "./form.js";
import { modelsText, modelWords, readModels } from "./models.js";

/** @typedef {import("../../shared/types.js").Settings} Settings */
/** @typedef {import("../../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {import("../../shared/types.js").ProviderKind} ProviderKind */
/** @typedef {{entry: ProviderEntry, settings: Settings}} Edited */

const dialog = byId("editor", HTMLDialogElement);
const form = byId("editor-form", HTMLFormElement);
const nameInput = byId("entry-name", HTMLInputElement);
const modelsInput = byId("entry-models", HTMLInputElement);
const fieldsPlace = byId("editor-fields", HTMLElement);
const footSaid = byId("editor-said", HTMLElement);

/** @type {import("./fields.js").Made[]} */
let fields = [];
/** @type {(edited: Edited | null) => void} */
let finish = () => undefined;
/** @type {ProviderEntry} */
let entry;
/** @type {Settings} */
let settings;
let changed = false;

/** To be called once. */
export function start() {
  form.addEventListener("submit", submit);
  form.addEventListener("input", edited);
  byId("editor-cancel", HTMLButtonElement).addEventListener("click", leave);
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    leave();
  });
  dialog.addEventListener("close", () => finish(null));
}

/**
 * Set up another one of a kind. It comes first in the list: what is there already may take every model.
 *
 * @param {ProviderKind} kind
 * @param {Settings} now
 */
export function editNew(kind, now) {
  const provider = providers.get(kind);
  const initial = (provider?.fields ?? []).map(({ name, initial: value }) => [name, value]);
  /** @type {ProviderEntry} */
  const made = {
    id: crypto.randomUUID(), kind, name: freeName(provider?.title ?? kind, now), enabled: true, models: ["*"],
    settings: Object.fromEntries(initial),
  };
  return open(made, { ...now, providers: [made, ...now.providers] }, `New generator: ${provider?.title ?? kind}`);
}

/** @param {ProviderEntry} one @param {Settings} now */
export function edit(one, now) {
  return open(one, now, `Edit ${one.name}`);
}

/** @param {string} title @param {Settings} now */
function freeName(title, { providers: entries }) {
  const taken = new Set(entries.map(({ name }) => name));
  let name = title;
  for (let number = 2; taken.has(name); number += 1) name = `${title} ${number}`;
  return name;
}

/** @param {ProviderEntry} one @param {Settings} now @param {string} title @returns {Promise<Edited | null>} */
function open(one, now, title) {
  const provider = providers.get(one.kind);
  entry = one;
  settings = now;
  changed = false;
  say(byId("editor-title", HTMLElement), title);
  say(byId("editor-about", HTMLElement), provider?.about ?? "");
  say(byId("editor-problem", HTMLElement), "");
  say(footSaid, "");
  nameInput.value = one.name;
  modelsInput.value = modelsText(one.models);
  fields = (provider?.fields ?? []).map((field) => makeField(field, one.settings[field.name], now.server));
  fill(fieldsPlace, ...arranged(fields));
  passes(controls(), {});
  showModels();
  dialog.showModal();
  nameInput.focus();
  return new Promise((resolve) => {
    finish = resolve;
  });
}

/** @returns {Record<string, HTMLElement>} */
function controls() {
  const own = Object.fromEntries(fields.map((each) => [key(each), each.control]));
  return { name: nameInput, models: modelsInput, ...own };
}

/** A setting may be called "name", too. @param {import("./fields.js").Made} made */
function key({ field }) {
  return `settings.${field.name}`;
}

/** @param {Event} event */
function edited({ target }) {
  changed = true;
  say(footSaid, "");
  if (target instanceof HTMLElement) mark(target, "");
  if (target === modelsInput) showModels();
}

function showModels() {
  const names = readModels(modelsInput.value);
  fill(byId("entry-models-chips", HTMLElement), ...names.map((model) => make("li", {}, modelWords(model))));
}

/** What is typed is not thrown away at the first key or click. */
function leave() {
  if (changed) {
    changed = false;
    say(footSaid, "This is not saved yet. Cancel again to throw it away.", "bad");
  } else {
    dialog.close();
  }
}

/** @param {SubmitEvent} event */
async function submit(event) {
  event.preventDefault();
  const typed = read();
  if (!passes(controls(), problems(typed))) return;
  // Asked for in the very click; an answer may never come, and what it is can be seen in the list.
  if (typed.enabled) request(typed).catch(() => undefined);
  try {
    const entries = settings.providers.map((each) => (each.id === typed.id ? typed : each));
    const saved = await save({ providers: entries });
    finish({ entry: typed, settings: saved });
    dialog.close();
  } catch (problem) {
    refuse(problem);
  }
}

/** @returns {ProviderEntry} */
function read() {
  const own = Object.fromEntries(fields.map((each) => [each.field.name, each.problem() ? undefined : each.read()]));
  const models = readModels(modelsInput.value);
  return { ...entry, name: nameInput.value.trim(), models, settings: { ...entry.settings, ...own } };
}

/** @param {ProviderEntry} typed */
function problems(typed) {
  /** @type {Record<string, string>} */
  const found = Object.fromEntries(fields.map((each) => [key(each), each.problem()]));
  if (Object.values(found).every((sentence) => !sentence)) {
    const more = providers.get(typed.kind)?.problems?.(typed.settings) ?? {};
    for (const [name, sentence] of Object.entries(more)) found[`settings.${name}`] = sentence;
  }
  if (!typed.name) found.name = "Give it a name.";
  return found;
}

/** @param {unknown} problem */
function refuse(problem) {
  const own = problem instanceof Unfit ? problem.problems : {};
  const of = (/** @type {string} */ name) => own[`providers.${entry.id}.${name}`];
  const shown = !passes(controls(), { name: of("name"), models: of("models") });
  if (!shown) say(byId("editor-problem", HTMLElement), sentenceOf(problem));
}
