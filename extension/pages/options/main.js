/** The options page: starts its sections and passes changes of settings and status to them. */

import { load, subscribe } from "../../shared/settings.js";
import { read, subscribe as subscribeToStatus } from "../../shared/status.js";
import { byId, setText } from "../dom.js";
import { statusText } from "../text.js";
import * as backup from "./backup.js";
import * as editor from "./editor.js";
import { highlightCurrentSection } from "./nav.js";
import * as providers from "./providers.js";
import * as server from "./server.js";
import * as trial from "./trial.js";
import * as work from "./work.js";

/** @typedef {import("../../shared/types.js").Settings} Settings */
/** @typedef {import("../../shared/types.js").Status} Status */

/** @type {Status} */
let status;

/** @param {Settings} settings */
function showSettings(settings) {
  for (const section of [server, providers, work, trial]) section.showSettings(settings);
}

/** @param {Status} current */
function showStatus(current) {
  status = current;
  const { label, tone } = statusText(current);
  setText(byId("header-state", HTMLElement), label, tone);
  server.showStatus(current);
  providers.showStatus(current);
  trial.showStatus(current);
}

const settings = await load();
providers.start(settings);
for (const section of [server, work, trial, editor, backup]) section.start();
subscribe(showSettings);
subscribeToStatus(showStatus);
showSettings(settings);
showStatus(await read());
setInterval(() => server.showRetry(status), 1000);
setText(byId("version", HTMLElement), `Imagefleet for Chrome ${chrome.runtime.getManifest().version}`);
highlightCurrentSection();
if (!settings.server) byId("pairing", HTMLInputElement).focus({ preventScroll: true });
document.body.dataset.ready = "";
