// The extension's files import only files of the extension, and only in the allowed direction between folders.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";

const ROOT = resolve(import.meta.dirname, "../../../extension");
const IMPORT = /^\s*(?:import|export)\b[^"';=()]*?\bfrom\s*"([^"]+)"|^\s*import\s*"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;
const COMMENT = /\/\*[^]*?\*\/|^\s*\/\/.*$/gm;

/** The folders that each folder may import from, besides itself. */
const MAY_IMPORT = {
  "service_worker.js": ["worker", "shared"],
  worker: ["providers", "shared"],
  providers: ["shared"],
  pages: ["providers", "shared"],
  shared: [],
};

const files = Object.keys(MAY_IMPORT)
  .flatMap((folder) => (folder.endsWith(".js") ? [folder] : scripts(folder)))
  .filter((file) => existsSync(join(ROOT, file)));

function scripts(folder) {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { recursive: true })
    .filter((name) => name.endsWith(".js"))
    .map((name) => join(folder, name));
}

function importsOf(file) {
  const text = readFileSync(join(ROOT, file), "utf8").replaceAll(COMMENT, "");
  return [...text.matchAll(IMPORT)].map(([, ...named]) => named.find(Boolean));
}

const imports = files.flatMap((file) => importsOf(file).map((named) => ({ file, named })));
const folder = (file) => file.split("/")[0];

test("every import is a relative path of an existing file", () => {
  for (const { file, named } of imports) {
    assert.match(named, /^\.\.?\/.*\.js$/, `${file} imports ${named}`);
    assert.ok(existsSync(join(ROOT, dirname(file), named)), `${file} imports ${named}, which does not exist`);
  }
});

test("folders import only in the allowed direction", () => {
  for (const { file, named } of imports) {
    const target = relative(ROOT, resolve(ROOT, dirname(file), named));
    const allowed = [folder(file), ...MAY_IMPORT[folder(file)]];
    assert.ok(allowed.includes(folder(target)), `${file} imports ${target}`);
  }
});
