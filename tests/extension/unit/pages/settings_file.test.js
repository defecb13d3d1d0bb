// Settings as a file: no secret leaves by it, and none is led elsewhere by one that somebody else wrote.

import assert from "node:assert/strict";
import { test } from "node:test";
import { read, write } from "../../../../extension/pages/options/settings_file.js";

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
const changed = (change) => {
  const file = JSON.parse(write(NOW, secrets));
  change(file);
  return read(JSON.stringify(file), NOW, secrets);
};

test("neither token, keys nor the name of the browser are in the file", () => {
  const text = write(NOW, secrets);
  for (const secret of ["t-1", "sk-1", "here"]) assert.ok(!text.includes(secret), secret);
});

test("what was exported comes back into the same browser with its secrets", () => {
  const { server, token, concurrency, hours, providers } = read(write(NOW, secrets), NOW, secrets);
  const kept = { server, token, concurrency, hours, providers };
  assert.deepEqual({ ...kept, extensionId: "here", paused: true }, NOW);
});

test("a file that names another server does not get the token", () => {
  assert.equal(changed((file) => { file.server = elsewhere; }).token, "");
});

test("a file that leads a provider elsewhere does not get its key", () => {
  const [entry] = changed((file) => { file.providers[0].settings.address = elsewhere; }).providers;
  assert.equal(entry.settings.key, undefined);
});

test("a key that is in a file is not taken", () => {
  const [entry] = changed((file) => { file.providers = [{ ...ENTRY, id: "new" }]; }).providers;
  assert.equal(entry.settings.key, undefined);
});

test("the order of fields makes no difference", () => {
  const [entry] = changed((file) => { file.providers[0].settings.extra = { b: 2, a: 1 }; }).providers;
  assert.equal(entry.settings.key, "sk-1");
});

test("unknown fields of an entry stay outside", () => {
  const [entry] = changed((file) => { file.providers[0].more = 1; }).providers;
  assert.deepEqual(Object.keys(entry).sort(), Object.keys(ENTRY).sort());
});

test("what is no such file is told in a sentence", () => {
  assert.throws(() => read("{", NOW, secrets), /no JSON/);
  for (const text of ["null", "[]", '{"format": "other"}']) {
    assert.throws(() => read(text, NOW, secrets), /does not hold/);
  }
  for (const providers of [undefined, [1], [null], [{ ...ENTRY, models: "*" }], [{ ...ENTRY, settings: null }]]) {
    assert.throws(() => changed((file) => { file.providers = providers; }), /cannot be read/);
  }
});

test("days that are none are left out", () => {
  assert.deepEqual(changed((file) => { file.hours.days = [1, 9, "2", 6]; }).hours.days, [1, 6]);
});
