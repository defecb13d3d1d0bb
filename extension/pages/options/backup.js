/** The section to export and import settings. */

import { providers } from "../../providers/registry.js";
import { load, save } from "../../shared/settings.js";
import { byId, setText } from "../dom.js";
import { download, pickFile } from "./files.js";
import { errorText } from "./form.js";
import { formatSettingsFile, parseSettingsFile } from "./settings_file.js";

const message = byId("backup-message", HTMLElement);

export function start() {
  byId("export", HTMLButtonElement).addEventListener("click", exportAll);
  byId("import", HTMLButtonElement).addEventListener("click", importAll);
}

/** @param {string} kind */
function secretFields(kind) {
  return (providers.get(kind)?.fields ?? []).filter(({ type }) => type === "secret").map(({ name }) => name);
}

async function exportAll() {
  download("imagefleet-settings.json", formatSettingsFile(await load(), secretFields));
  setText(message, "The file was saved to your downloads.", "good");
}

async function importAll() {
  setText(message, "");
  try {
    const text = await pickFile();
    if (text === null) return;
    const changes = parseSettingsFile(text, await load(), secretFields);
    await save(changes);
    setText(message, "Imported. Please enter the token and keys that are missing.", "good");
  } catch (problem) {
    setText(message, errorText(problem), "bad");
  }
}
