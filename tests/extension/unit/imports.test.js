// What the extension's files import: only files that travel with it, and only in the direction that its rooms have.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";

const ROOT = resolve(import.meta.dirname, "../../../extension");
const IMPORT = /^\s*(?:import|export)\b[^"';=()]*?\bfrom\s*"([^"]+)"|^\s*import\s*"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;
const COMMENT = /\/\*[^]*?\*\/|^\s*\/\/.*$/gm;

/** Which rooms a room may import from, besides itself; a name with a slash is one file. */
const MAY_IMPORT = {
  "service_worker.js": ["worker", "shared"],
  worker: ["providers", "shared"],
  providers: ["shared", "worker/failures.js"],
  pages: ["providers", "shared"],
  shared: [],
};

const files = Object.keys(MAY_IMPORT)
  .flatMap((room) => (room.endsWith(".js") ? [room] : scripts(room)))
  .filter((file) => existsSync(join(ROOT, file)));

function scripts(room) {
  if (!existsSync(join(ROOT, room))) return [];
  return readdirSync(join(ROOT, room), { recursive: true })
    .filter((name) => name.endsWith(".js"))
    .map((name) => join(room, name));
}

function importsOf(file) {
  const text = readFileSync(join(ROOT, file), "utf8").replaceAll(COMMENT, "");
  return [...text.matchAll(IMPORT)].map(([, ...named]) => named.find(Boolean));
}

const imports = files.flatMap((file) => importsOf(file).map((named) => ({ file, named })));
const room = (file) => file.split("/")[0];

test("every import names a file that is there, by a relative path", () => {
  for (const { file, named } of imports) {
    assert.match(named, /^\.\.?\/.*\.js$/, `${file} imports ${named}`);
    assert.ok(existsSync(join(ROOT, dirname(file), named)), `${file} imports ${named}, which is not there`);
  }
});

test("rooms import in one direction", () => {
  for (const { file, named } of imports) {
    const target = relative(ROOT, resolve(ROOT, dirname(file), named));
    const allowed = [room(file), ...MAY_IMPORT[room(file)]];
    assert.ok(allowed.includes(room(target)) || allowed.includes(target), `${file} imports ${target}`);
  }
});
