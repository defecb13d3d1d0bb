/** The section that takes settings to another browser. */

import { providers } from "../../providers/registry.js";
import { load, save } from "../../shared/settings.js";
import { byId, say } from "../dom.js";
import { download, pickFile } from "./files.js";
import { sentenceOf } from "./form.js";
import { read, write } from "./settings_file.js";

const said = byId("backup-said", HTMLElement);

export function start() {
  byId("export", HTMLButtonElement).addEventListener("click", exportAll);
  byId("import", HTMLButtonElement).addEventListener("click", importAll);
}

/** @param {string} kind */
function secrets(kind) {
  return (providers.get(kind)?.fields ?? []).filter(({ type }) => type === "secret").map(({ name }) => name);
}

async function exportAll() {
  download("imagefleet-settings.json", write(await load(), secrets));
  say(said, "The file is in your downloads.", "good");
}

async function importAll() {
  say(said, "");
  try {
    const text = await pickFile();
    if (text === null) return;
    const changes = read(text, await load(), secrets);
    await save(changes);
    say(said, "Imported. Keys that are not here yet are to be typed in.", "good");
  } catch (problem) {
    say(said, sentenceOf(problem), "bad");
  }
}
