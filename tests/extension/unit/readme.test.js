// The README matches the extension.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { recipeProblem } from "../../../extension/providers/page_recipe.js";
import { badgeFor } from "../../../extension/worker/badge.js";

const ROOT = new URL("../../../extension/", import.meta.url);
const readme = readFileSync(new URL("README.md", ROOT), "utf8");
const manifest = JSON.parse(readFileSync(new URL("manifest.json", ROOT), "utf8"));

test("its recipe is valid", () => {
  const [, recipe] = readme.match(/```json\n([^]*?)```/);
  assert.equal(recipeProblem(JSON.parse(recipe)), undefined);
});

test("it explains exactly the permissions of the manifest", () => {
  const [, rows] = readme.match(/## Permissions\n([^]*?)\n## /);
  const explained = [...rows.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
  assert.deepEqual(explained.sort(), [...manifest.permissions, ...manifest.optional_permissions].sort());
});

test("it explains every text of the badge", () => {
  const [, badges] = readme.match(/The badge shows the status: ([^]*?)\. The popup/);
  const quiet = { why: "", since: 0, taking: true, notTaking: "", jobs: [], unsent: 0, today: {} };
  const states = ["unset", "connecting", "connected", "waiting", "refused"].map((state) => ({ ...quiet, state }));
  for (const status of [...states, { ...quiet, state: "connected", notTaking: "paused" }]) {
    assert.ok(badges.includes(`\`${badgeFor(status).text}\``), badgeFor(status).text);
  }
});
