// Settings files contain no secrets, and importing one cannot redirect a secret to another server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { formatSettingsFile, parseSettingsFile } from "../../../../extension/pages/options/settings_file.js";

const secrets = () => ["key"];
const ENTRY = {
  id: "o", kind: "openai", name: "Mine", enabled: true, models: ["*"],
  settings: { address: "https://api.example", key: "sk-1", extra: { a: 1, b: 2 } },
};
const NOW = {
  server: "https://pictures.example", token: "t-1", extensionId: "here", concurrency: 2, paused: true,
  hours: { enabled: true, days: [1], from: "09:00", to: "18:00" }, providers: [ENTRY],
};

const elsewhere = "https://elsewhere.example";
const importChanged = (change) => {
  const file = JSON.parse(formatSettingsFile(NOW, secrets));
  change(file);
  return parseSettingsFile(JSON.stringify(file), NOW, secrets);
};

test("the file contains no token, no keys and no browser name", () => {
  const text = formatSettingsFile(NOW, secrets);
  for (const secret of ["t-1", "sk-1", "here"]) assert.ok(!text.includes(secret), secret);
});

test("an import into the same browser keeps its secrets", () => {
  const text = formatSettingsFile(NOW, secrets);
  const { server, token, concurrency, hours, providers } = parseSettingsFile(text, NOW, secrets);
  const imported = { server, token, concurrency, hours, providers };
  assert.deepEqual({ ...imported, extensionId: "here", paused: true }, NOW);
});

test("a file with another server does not keep the token", () => {
  assert.equal(importChanged((file) => { file.server = elsewhere; }).token, "");
});

test("a file with another provider address does not keep the key", () => {
  const [entry] = importChanged((file) => { file.providers[0].settings.address = elsewhere; }).providers;
  assert.equal(entry.settings.key, undefined);
});

test("a key in a file is ignored", () => {
  const [entry] = importChanged((file) => { file.providers = [{ ...ENTRY, id: "new" }]; }).providers;
  assert.equal(entry.settings.key, undefined);
});

test("the order of fields does not matter", () => {
  const [entry] = importChanged((file) => { file.providers[0].settings.extra = { b: 2, a: 1 }; }).providers;
  assert.equal(entry.settings.key, "sk-1");
});

test("unknown fields of an entry are ignored", () => {
  const [entry] = importChanged((file) => { file.providers[0].more = 1; }).providers;
  assert.deepEqual(Object.keys(entry).sort(), Object.keys(ENTRY).sort());
});

test("an invalid file is rejected with a message", () => {
  assert.throws(() => parseSettingsFile("{", NOW, secrets), /not JSON/);
  for (const text of ["null", "[]", '{"format": "other"}']) {
    assert.throws(() => parseSettingsFile(text, NOW, secrets), /does not contain/);
  }
  for (const providers of [undefined, [1], [null], [{ ...ENTRY, models: "*" }], [{ ...ENTRY, settings: null }]]) {
    assert.throws(() => importChanged((file) => { file.providers = providers; }), /not valid/);
  }
});

test("invalid days are ignored", () => {
  assert.deepEqual(importChanged((file) => { file.hours.days = [1, 9, "2", 6]; }).hours.days, [1, 6]);
});
