/** The options page: starts its sections and tells them of every change, wherever it is made. */

import { load, subscribe } from "../../shared/settings.js";
import { read, subscribe as follow } from "../../shared/status.js";
import { byId, say } from "../dom.js";
import { saying } from "../words.js";
import { followSections } from "./nav.js";
import * as backup from "./backup.js";
import * as editor from "./editor.js";
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

/** @param {Status} now */
function showStatus(now) {
  status = now;
  const { label, tone } = saying(now);
  say(byId("header-state", HTMLElement), label, tone);
  server.showStatus(now);
  trial.showStatus(now);
}

const settings = await load();
providers.start(settings);
for (const section of [server, work, trial, editor, backup]) section.start();
subscribe(showSettings);
follow(showStatus);
showSettings(settings);
showStatus(await read());
setInterval(() => server.showRetry(status), 1000);
say(byId("version", HTMLElement), `Imagefleet for Chrome ${chrome.runtime.getManifest().version}`);
followSections();
if (!settings.server) byId("pairing", HTMLInputElement).focus({ preventScroll: true });
document.body.dataset.ready = "";
