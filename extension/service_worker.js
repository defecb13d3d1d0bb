/** Entry point of the service worker. Chrome requires that listeners are registered synchronously at the top level. */

import { subscribe } from "./shared/settings.js";
import { ExtensionWorker } from "./worker/extension_worker.js";

const worker = new ExtensionWorker();
const wake = () => void worker.wake();

chrome.runtime.onInstalled.addListener(wake);
chrome.runtime.onStartup.addListener(wake);
chrome.alarms.onAlarm.addListener(wake);
chrome.permissions.onAdded.addListener(() => void worker.permissionsChanged());
chrome.permissions.onRemoved.addListener(() => void worker.permissionsChanged());
subscribe((settings) => void worker.settingsChanged(settings));
chrome.runtime.onUpdateAvailable.addListener(() => worker.updateAvailable());
chrome.runtime.onMessage.addListener((request, sender, respond) => {
  if (sender.origin !== location.origin) return false; // web pages of recipes must not send requests
  void worker.handlePageRequest(request).then(respond);
  return true;
});
wake();
