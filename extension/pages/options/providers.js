/** The section with the list of providers. Every change is saved immediately. */

import { permissionProblem, settingsProblem } from "../../providers/readiness.js";
import { entriesInUse, operationsOf, providers } from "../../providers/registry.js";
import { save } from "../../shared/settings.js";
import { sendToWorker } from "../../shared/worker_requests.js";
import { byId, icon, make, setChildren, setText } from "../dom.js";
import { operationsText, pauseText } from "../text.js";
import { edit, editNew } from "./editor.js";
import { errorText } from "./form.js";
import { requestPermissions } from "./permissions.js";
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
/** @type {Map<string, import("./provider_row.js").CheckResult>}  results of the latest checks, by entry id */
const checkResults = new Map();
/** @type {Map<string, string>}  which permission is missing, by entry id; empty if none is */
let missingPermissions = new Map();
/** @type {import("../../shared/types.js").ProviderState[]} */
let states = [];
/** @type {ProviderEntry[]} */
let previous = [];

/** @param {Settings} first */
export function start(first) {
  settings = first;
  const tiles = [...providers.values()].map((provider) => make("li", {}, tile(provider)));
  setChildren(byId("add-list", HTMLUListElement), ...tiles);
  undo.addEventListener("click", undoRemove);
  chrome.permissions.onAdded.addListener(refreshPermissions);
  chrome.permissions.onRemoved.addListener(refreshPermissions);
}

/** @param {Settings} current */
export async function showSettings(current) {
  settings = current;
  show();
  await refreshPermissions();
}

/** Query the granted permissions and update the list. */
async function refreshPermissions() {
  const entries = settings.providers;
  const missing = await Promise.all(entries.map(permissionProblem));
  missingPermissions = new Map(entries.map(({ id }, index) => [id, missing[index]]));
  show();
}

/** @param {import("../../shared/types.js").Status} status */
export function showStatus(status) {
  if (JSON.stringify(states) === JSON.stringify(status.providers)) return;
  states = status.providers;
  show();
}

function show() {
  const focus = focusedControl();
  setChildren(list, ...settings.providers.map((entry, index) => providerRow({
    entry,
    kind: providers.get(entry.kind)?.title ?? entry.kind,
    first: index === 0,
    last: index === settings.providers.length - 1,
    missing: missingPermissions.get(entry.id) ?? "",
    idle: idleText(entry),
    abilities: operationsText(operationsOf(entry)),
    checkResult: checkResults.get(entry.id),
  }, act)));
  list.hidden = settings.providers.length === 0;
  byId("no-providers", HTMLElement).hidden = !list.hidden;
  if (focus) focusRow(focus);
}

/** Why an enabled entry gets no jobs, besides a missing permission; empty if it does. @param {ProviderEntry} entry */
function idleText(entry) {
  if (!entry.enabled) return "";
  const problem = settingsProblem(entry);
  if (problem) return `It gets no jobs: ${problem}`;
  const pause = states.find(({ id, pausedUntil }) => id === entry.id && pausedUntil);
  if (pause) return pauseText(pause);
  const ready = settings.providers.filter((each) => !settingsProblem(each) && !missingPermissions.get(each.id));
  if (!ready.includes(entry)) return "";
  const handlers = entry.models.flatMap((model) => entriesInUse(ready, model));
  if (handlers.length === 0 || handlers.includes(entry)) return "";
  const names = [...new Set(handlers.map((handler) => handler.name))].join(", ");
  return `It gets no jobs, because ${names}, higher in the list, handles the same models.`;
}

/** The control with the focus: the list is rebuilt after each change, and the focus must be restored. */
function focusedControl() {
  const control = document.activeElement;
  const row = control?.closest("[data-entry]");
  if (!row || !list.contains(row)) return null;
  return { id: row.getAttribute("data-entry"), action: control?.getAttribute("data-act") };
}

/** @param {{id: string | null, action?: string | null}} focus */
function focusRow({ id, action }) {
  const row = [...list.children].find((each) => each.getAttribute("data-entry") === id);
  /** @param {string | null} [name] @returns {HTMLButtonElement | null | undefined} */
  const find = (name) => row?.querySelector(`[data-act="${name}"]:not(:disabled)`);
  const other = action === "up" ? "down" : "up";
  (find(action) ?? find(other) ?? find("edit") ?? list.querySelector("button"))?.focus();
}

/** @type {Record<Action, (entry: ProviderEntry) => unknown>} */
const ACTIONS = {
  switch: (entry) => change(entry, { ...entry, enabled: !entry.enabled }),
  check: (entry) => check(entry),
  edit: async (entry) => onEdited(await edit(entry, settings)),
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
    showMessage(errorText(problem), "bad");
  }
}

/** @param {ProviderEntry[]} entries */
async function saveEntries(entries) {
  settings = await save({ providers: entries });
  undo.hidden = true;
  await showSettings(settings);
}

/** @param {ProviderEntry} entry @param {ProviderEntry} changed */
async function change(entry, changed) {
  checkResults.delete(entry.id);
  await saveEntries(settings.providers.map((each) => (each.id === entry.id ? changed : each)));
  showMessage(`${changed.name} is now ${changed.enabled ? "on" : "off"}.`, "good");
}

/** @param {import("./editor.js").EditResult | null} edited  null if the user cancelled */
async function onEdited(edited) {
  if (!edited) return;
  checkResults.delete(edited.entry.id);
  undo.hidden = true;
  await showSettings(edited.settings);
  focusRow({ id: edited.entry.id, action: "edit" });
  showMessage(`${edited.entry.name} was saved.`, "good");
}

/** @param {ProviderEntry} entry @param {number} offset */
async function move(entry, offset) {
  const entries = [...settings.providers];
  const from = entries.findIndex(({ id }) => id === entry.id);
  entries.splice(from, 1);
  entries.splice(from + offset, 0, entry);
  await saveEntries(entries);
  showMessage(`${entry.name} is now number ${from + offset + 1}.`, "good");
}

/** @param {ProviderEntry} entry */
async function remove(entry) {
  previous = settings.providers;
  await saveEntries(previous.filter(({ id }) => id !== entry.id));
  undo.hidden = false;
  undo.focus();
  showMessage(`${entry.name} was removed.`, "good");
}

async function undoRemove() {
  const here = new Set(settings.providers.map(({ id }) => id));
  const gone = previous.filter(({ id }) => !here.has(id));
  const merged = [...settings.providers];
  for (const entry of gone) merged.splice(previous.indexOf(entry), 0, entry);
  await saveEntries(merged);
  if (gone[0]) focusRow({ id: gone[0].id, action: "edit" });
  showMessage(`${gone.map(({ name }) => name).join(", ")} was restored.`, "good");
}

/** @param {ProviderEntry} entry */
async function allow(entry) {
  if (await requestPermissions(entry)) showMessage(`${entry.name} is allowed.`, "good");
  else showMessage(`${entry.name} was not allowed and cannot be used.`, "bad");
  await refreshPermissions();
}

/** @param {ProviderEntry} entry */
async function check(entry) {
  showCheckResult(entry, "Checking …", "");
  try {
    const { message } = await sendToWorker({ type: "check", providerId: entry.id });
    showCheckResult(entry, message ?? "Ready to use.", "good");
  } catch (problem) {
    showCheckResult(entry, errorText(problem), "bad");
  }
}

/**
 * Show a text next to an entry, without rebuilding its row, so that screen readers announce it.
 *
 * @param {ProviderEntry} entry
 * @param {string} text
 * @param {string} tone
 */
function showCheckResult(entry, text, tone) {
  checkResults.set(entry.id, { text, tone });
  const row = [...list.children].find((each) => each.getAttribute("data-entry") === entry.id);
  const element = row?.querySelector(".message");
  if (element) setText(element, text, tone);
}

/** @param {string} message @param {string} tone */
function showMessage(message, tone) {
  setText(byId("providers-message", HTMLElement), message, tone);
}

/** @param {import("../../shared/types.js").Provider} provider */
function tile({ kind, title, about }) {
  const button = make("button", { "type": "button", "class": "tile", "data-kind": kind },
    make("strong", {}, icon(PLUS), title), make("span", { class: "help" }, about));
  button.addEventListener("click", async () => onEdited(await editNew(kind, settings)));
  return button;
}
