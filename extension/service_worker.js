/** Where Chrome starts the worker. Listeners stand here, so that they are there before Chrome looks for them. */

import { subscribe } from "./shared/settings.js";
import { Worker } from "./worker/worker.js";

const worker = new Worker();
const wake = () => void worker.wake();

chrome.runtime.onInstalled.addListener(wake);
chrome.runtime.onStartup.addListener(wake);
chrome.alarms.onAlarm.addListener(wake);
subscribe((settings) => void worker.change(settings));
chrome.runtime.onUpdateAvailable.addListener(() => worker.update());
chrome.runtime.onMessage.addListener((question, sender, respond) => {
  if (sender.origin !== location.origin) return false; // a web page that a recipe works in asks for nothing
  void worker.answer(question).then(respond);
  return true;
});
wake();
