/** The section with the server's address and the status of the connection. */

import { InvalidSettings, isUnencrypted, parsePairingCode, save } from "../../shared/settings.js";
import { sendToWorker } from "../../shared/worker_requests.js";
import { byId, setText } from "../dom.js";
import { retryText, statusText } from "../text.js";
import { errorText, reportProblems, showProblem } from "./form.js";
import { addRevealToggle } from "./reveal.js";

/** @typedef {import("../../shared/types.js").Settings} Settings */
/** @typedef {import("../../shared/types.js").Status} Status */

const pairing = byId("pairing", HTMLInputElement);
const controls = {
  server: byId("address", HTMLInputElement),
  token: byId("token", HTMLInputElement),
  extensionId: byId("extension-id", HTMLInputElement),
};
const connectButton = byId("connect", HTMLButtonElement);
const warning = byId("address-warning", HTMLElement);

/** Changes from other pages must not overwrite unsaved input. */
let hasUnsavedInput = false;

export function start() {
  byId("server-form", HTMLFormElement).addEventListener("submit", submit);
  pairing.addEventListener("input", () => readPairingCode(false));
  pairing.addEventListener("change", () => readPairingCode(true));
  for (const control of Object.values(controls)) control.addEventListener("input", () => onInput(control));
  addRevealToggle(byId("token-show", HTMLButtonElement), controls.token);
}

/** @param {Settings} settings */
export function showSettings(settings) {
  if (hasUnsavedInput) return;
  controls.server.value = settings.server;
  controls.token.value = settings.token;
  controls.extensionId.value = settings.extensionId;
  updateWarning();
}

/** @param {Status} status */
export function showStatus(status) {
  const { label, tone, sentence } = statusText(status);
  setText(byId("state", HTMLElement), label, tone);
  setText(byId("sentence", HTMLElement), sentence);
  showRetry(status);
}

/** Outside of the live region, because it changes every second. @param {Status} status */
export function showRetry(status) {
  setText(byId("retry", HTMLElement), retryText(status, Date.now()));
}

/** @param {HTMLInputElement} control */
function onInput(control) {
  hasUnsavedInput = true;
  showProblem(control, "");
  if (control === controls.server) updateWarning();
}

function updateWarning() {
  warning.hidden = !isUnencrypted(controls.server.value.trim());
}

/**
 * Use the code as soon as it is complete. An invalid code is reported when the field loses the focus.
 *
 * @param {boolean} showError
 */
function readPairingCode(showError) {
  showProblem(pairing, "");
  setText(byId("pairing-message", HTMLElement), "");
  if (!pairing.value.trim()) return;
  try {
    fillForm(parsePairingCode(pairing.value));
  } catch (problem) {
    if (showError) showProblem(pairing, errorText(problem));
  }
}

/** @param {ReturnType<typeof parsePairingCode>} code */
function fillForm({ server, token = "", extensionId }) {
  controls.server.value = server;
  controls.token.value = token;
  if (extensionId) controls.extensionId.value = extensionId;
  Object.values(controls).forEach(onInput);
  // The code contains the token and should not stay readable.
  pairing.value = "";
  setText(byId("pairing-message", HTMLElement), "The fields are filled in from the code. Press Connect.", "good");
}

/** @param {SubmitEvent} event */
async function submit(event) {
  event.preventDefault();
  if (pairing.value.trim()) {
    readPairingCode(true);
    if (pairing.value) return pairing.focus();
  }
  if (!reportProblems(controls, missingFields())) return undefined;
  connectButton.disabled = true;
  try {
    const { server, token, extensionId } = controls;
    const saved = await save({ server: server.value, token: token.value, extensionId: extensionId.value });
    hasUnsavedInput = false;
    showSettings(saved);
    setText(byId("pairing-message", HTMLElement), "");
    await sendToWorker({ type: "connect" });
  } catch (problem) {
    showSaveError(problem);
  } finally {
    connectButton.disabled = false;
  }
  return undefined;
}

/** @returns {Record<string, string>} */
function missingFields() {
  return controls.server.value.trim() ? {} : { server: "Enter the address of the server." };
}

/** @param {unknown} problem */
function showSaveError(problem) {
  if (problem instanceof InvalidSettings && !reportProblems(controls, problem.problems)) return;
  setText(byId("sentence", HTMLElement), errorText(problem));
}
