/** The section with the list of providers. Each change is saved at once. */

import { choose, providers } from "../../providers/registry.js";
import { ask } from "../../shared/asks.js";
import { save } from "../../shared/settings.js";
import { byId, drawing, fill, make, say } from "../dom.js";
import { granted, hosts, request } from "./access.js";
import { edit, editNew } from "./editor.js";
import { sentenceOf } from "./form.js";
import { providerRow } from "./provider_row.js";

/** @typedef {import("../../shared/types.js").Settings} Settings */
/** @typedef {import("../../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {import("../../shared/types.js").ProviderKind} ProviderKind */
/** @typedef {import("./provider_row.js").Action} Action */

const PLUS = "M12 5v14M5 12h14";
const list = byId("provider-list", HTMLOListElement);
const undo = byId("undo", HTMLButtonElement);

/** @type {Settings} */
let settings;
/** @type {Map<string, import("./provider_row.js").Said>} what the last check of each said, by its id */
const said = new Map();
/** @type {Set<string>} the entries that lack something of the browser */
let lacking = new Set();
/** @type {ProviderEntry[]} */
let before = [];

/** @param {Settings} first */
export function start(first) {
  settings = first;
  const tiles = [...providers.values()].map((provider) => make("li", {}, tile(provider)));
  fill(byId("add-list", HTMLUListElement), ...tiles);
  undo.addEventListener("click", putBack);
  chrome.permissions.onAdded.addListener(look);
  chrome.permissions.onRemoved.addListener(look);
}

/** @param {Settings} now */
export async function showSettings(now) {
  settings = now;
  show();
  await look();
}

/** See what the browser grants, which is told in its own time. */
async function look() {
  const entries = settings.providers;
  const grants = await Promise.all(entries.map(granted));
  lacking = new Set(entries.filter((_, index) => !grants[index]).map(({ id }) => id));
  show();
}

function show() {
  const held = focused();
  fill(list, ...settings.providers.map((entry, index) => providerRow({
    entry,
    kind: providers.get(entry.kind)?.title ?? entry.kind,
    first: index === 0,
    last: index === settings.providers.length - 1,
    missing: lacking.has(entry.id) ? lackWords(entry) : "",
    idle: idleWords(entry),
    said: said.get(entry.id),
  }, act)));
  list.hidden = settings.providers.length === 0;
  byId("no-providers", HTMLElement).hidden = !list.hidden;
  if (held) focusOn(held);
}

/** @param {ProviderEntry} entry */
function lackWords(entry) {
  const where = hosts(entry);
  return where ? `The browser has not allowed the extension to reach ${where} yet.`
    : "The browser has not allowed the extension everything this generator needs yet.";
}

/** Why an entry that is switched on is never used, if so. @param {ProviderEntry} entry */
function idleWords(entry) {
  if (!entry.enabled) return "";
  const takers = entry.models.map((model) => choose(settings.providers, model));
  if (takers.length === 0 || takers.includes(entry)) return "";
  const names = [...new Set(takers.map((taker) => taker?.name))].join(" and ");
  return `It gets no jobs: ${names}, further up, takes the same models.`;
}

/** The list is made anew with each change, and the focus goes on where it was. */
function focused() {
  const at = document.activeElement;
  const row = at?.closest("[data-entry]");
  if (!row || !list.contains(row)) return null;
  return { id: row.getAttribute("data-entry"), action: at?.getAttribute("data-act") };
}

/** @param {{id: string | null, action?: string | null}} held */
function focusOn({ id, action }) {
  const row = [...list.children].find((each) => each.getAttribute("data-entry") === id);
  /** @param {string | null} [name] @returns {HTMLButtonElement | null | undefined} */
  const find = (name) => row?.querySelector(`[data-act="${name}"]:not(:disabled)`);
  const other = action === "up" ? "down" : "up";
  (find(action) ?? find(other) ?? find("edit") ?? list.querySelector("button"))?.focus();
}

/** @type {Record<Action, (entry: ProviderEntry) => unknown>} */
const ACTIONS = {
  switch: (entry) => change(entry, { ...entry, enabled: !entry.enabled }),
  check: (entry) => checkIt(entry),
  edit: async (entry) => keep(await edit(entry, settings)),
  up: (entry) => move(entry, -1),
  down: (entry) => move(entry, 1),
  remove: (entry) => remove(entry),
  allow: (entry) => allow(entry),
};

/** @param {Action} action @param {ProviderEntry} entry */
async function act(action, entry) {
  try {
    await ACTIONS[action](entry);
  } catch (problem) {
    show();
    tell(sentenceOf(problem), "bad");
  }
}

/** @param {ProviderEntry[]} entries */
async function put(entries) {
  settings = await save({ providers: entries });
  undo.hidden = true;
  await showSettings(settings);
}

/** @param {ProviderEntry} entry @param {ProviderEntry} changed */
async function change(entry, changed) {
  said.delete(entry.id);
  await put(settings.providers.map((each) => (each.id === entry.id ? changed : each)));
  tell(`${changed.name} is switched ${changed.enabled ? "on" : "off"}.`, "good");
}

/** What the editor saved, if it did. @param {import("./editor.js").Edited | null} edited */
async function keep(edited) {
  if (!edited) return;
  said.delete(edited.entry.id);
  undo.hidden = true;
  await showSettings(edited.settings);
  focusOn({ id: edited.entry.id, action: "edit" });
  tell(`${edited.entry.name} is saved.`, "good");
}

/** @param {ProviderEntry} entry @param {number} by */
async function move(entry, by) {
  const entries = [...settings.providers];
  const from = entries.findIndex(({ id }) => id === entry.id);
  entries.splice(from, 1);
  entries.splice(from + by, 0, entry);
  await put(entries);
  tell(`${entry.name} is now number ${from + by + 1}.`, "good");
}

/** @param {ProviderEntry} entry */
async function remove(entry) {
  before = settings.providers;
  await put(before.filter(({ id }) => id !== entry.id));
  undo.hidden = false;
  undo.focus();
  tell(`${entry.name} is removed.`, "good");
}

async function putBack() {
  const here = new Set(settings.providers.map(({ id }) => id));
  const gone = before.filter(({ id }) => !here.has(id));
  const merged = [...settings.providers];
  for (const entry of gone) merged.splice(before.indexOf(entry), 0, entry);
  await put(merged);
  if (gone[0]) focusOn({ id: gone[0].id, action: "edit" });
  tell(`${gone.map(({ name }) => name).join(", ")} is back.`, "good");
}

/** @param {ProviderEntry} entry */
async function allow(entry) {
  if (await request(entry)) tell(`${entry.name} is allowed.`, "good");
  else tell(`${entry.name} was not allowed, so it cannot be used.`, "bad");
  await look();
}

/** @param {ProviderEntry} entry */
async function checkIt(entry) {
  note(entry, "Checking …", "");
  try {
    const { words } = await ask({ ask: "check", providerId: entry.id });
    note(entry, words ?? "It can be used.", "good");
  } catch (problem) {
    note(entry, sentenceOf(problem), "bad");
  }
}

/**
 * Words beside an entry; its row stays, so that they are read out.
 *
 * @param {ProviderEntry} entry
 * @param {string} text
 * @param {string} tone
 */
function note(entry, text, tone) {
  said.set(entry.id, { text, tone });
  const row = [...list.children].find((each) => each.getAttribute("data-entry") === entry.id);
  const place = row?.querySelector(".said");
  if (place) say(place, text, tone);
}

/** @param {string} words @param {string} tone */
function tell(words, tone) {
  say(byId("providers-said", HTMLElement), words, tone);
}

/** @param {import("../../shared/types.js").Provider} provider */
function tile({ kind, title, about }) {
  const button = make("button", { "type": "button", "class": "tile", "data-kind": kind },
    make("strong", {}, drawing(PLUS), title), make("span", { class: "help" }, about));
  button.addEventListener("click", async () => keep(await editNew(kind, settings)));
  return button;
}
