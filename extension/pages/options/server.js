/** The section in which the server is set, and which says how the connection to it stands. */

import { ask } from "../../shared/asks.js";
import { readPairing, save, travelsInTheOpen, Unfit } from "../../shared/settings.js";
import { byId, say } from "../dom.js";
import { retryWords, saying } from "../words.js";
import { mark, passes, sentenceOf } from "./form.js";
import { reveals } from "./reveal.js";

/** @typedef {import("../../shared/types.js").Settings} Settings */
/** @typedef {import("../../shared/types.js").Status} Status */

const pairing = byId("pairing", HTMLInputElement);
const controls = {
  server: byId("address", HTMLInputElement),
  token: byId("token", HTMLInputElement),
  extensionId: byId("extension-id", HTMLInputElement),
};
const connect = byId("connect", HTMLButtonElement);
const warning = byId("address-warning", HTMLElement);

/** Whether something is typed that is not saved: a change from elsewhere must not wipe it away. */
let typing = false;

export function start() {
  byId("server-form", HTMLFormElement).addEventListener("submit", submit);
  pairing.addEventListener("input", () => takePairing(false));
  pairing.addEventListener("change", () => takePairing(true));
  for (const control of Object.values(controls)) control.addEventListener("input", () => edited(control));
  reveals(byId("token-show", HTMLButtonElement), controls.token);
}

/** @param {Settings} settings */
export function showSettings(settings) {
  if (typing) return;
  controls.server.value = settings.server;
  controls.token.value = settings.token;
  controls.extensionId.value = settings.extensionId;
  warn();
}

/** @param {Status} status */
export function showStatus(status) {
  const { label, tone, sentence } = saying(status);
  say(byId("state", HTMLElement), label, tone);
  say(byId("sentence", HTMLElement), sentence);
  showRetry(status);
}

/** It counts down each second, so it stands outside of what is read out. @param {Status} status */
export function showRetry(status) {
  say(byId("retry", HTMLElement), retryWords(status, Date.now()));
}

/** @param {HTMLInputElement} control */
function edited(control) {
  typing = true;
  mark(control, "");
  if (control === controls.server) warn();
}

function warn() {
  warning.hidden = !travelsInTheOpen(controls.server.value.trim());
}

/**
 * A code is taken as soon as it is whole; that it is none is said once it is left.
 *
 * @param {boolean} left
 */
function takePairing(left) {
  mark(pairing, "");
  say(byId("pairing-said", HTMLElement), "");
  if (!pairing.value.trim()) return;
  try {
    fillIn(readPairing(pairing.value));
  } catch (problem) {
    if (left) mark(pairing, sentenceOf(problem));
  }
}

/** @param {ReturnType<typeof readPairing>} read */
function fillIn({ server, token = "", extensionId }) {
  controls.server.value = server;
  controls.token.value = token;
  if (extensionId) controls.extensionId.value = extensionId;
  Object.values(controls).forEach(edited);
  // The code has the token in it, which need not stand there to be read.
  pairing.value = "";
  say(byId("pairing-said", HTMLElement), "Everything is filled in from the code. Now press Connect.", "good");
}

/** @param {SubmitEvent} event */
async function submit(event) {
  event.preventDefault();
  if (pairing.value.trim()) {
    takePairing(true);
    if (pairing.value) return pairing.focus();
  }
  if (!passes(controls, empty())) return undefined;
  connect.disabled = true;
  try {
    const { server, token, extensionId } = controls;
    const saved = await save({ server: server.value, token: token.value, extensionId: extensionId.value });
    typing = false;
    showSettings(saved);
    say(byId("pairing-said", HTMLElement), "");
    await ask({ ask: "connect" });
  } catch (problem) {
    refuse(problem);
  } finally {
    connect.disabled = false;
  }
  return undefined;
}

/** @returns {Record<string, string>} */
function empty() {
  return controls.server.value.trim() ? {} : { server: "Enter the address of the server." };
}

/** @param {unknown} problem */
function refuse(problem) {
  if (problem instanceof Unfit && !passes(controls, problem.problems)) return;
  say(byId("sentence", HTMLElement), sentenceOf(problem));
}
