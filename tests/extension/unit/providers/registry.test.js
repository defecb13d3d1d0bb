// Which of the user's entries makes a model's pictures, and what the server is told of them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { capabilities, choose, providers } from "../../../../extension/providers/registry.js";

const entry = (id, models, changes = {}) => {
  return { id, kind: "canvas", name: id, enabled: true, models, settings: {}, ...changes };
};

test("an entry that names the model comes before one that takes every model", () => {
  const entries = [entry("any", ["*"]), entry("named", ["dall-e-3"])];
  assert.equal(choose(entries, "dall-e-3").id, "named");
  assert.equal(choose(entries, "another").id, "any");
});

test("of two that name the model, the first is taken", () => {
  assert.equal(choose([entry("one", ["m"]), entry("two", ["m"])], "m").id, "one");
});

test("an entry that is off, or of a kind that this version does not have, is not taken", () => {
  const entries = [entry("off", ["m"], { enabled: false }), entry("odd", ["m"], { kind: "telepathy" })];
  assert.equal(choose(entries, "m"), undefined);
  assert.deepEqual(capabilities(entries), ["image-generation", "(none)"]);
});

test("the server is told the models of all entries that are on, each once", () => {
  const entries = [entry("a", ["m", "n"]), entry("b", ["m", "*"]), entry("off", ["x"], { enabled: false })];
  assert.deepEqual(capabilities(entries), ["image-generation", "m", "n", "*"]);
});

test("every kind goes by its own name, and has fields that a form can be made from", () => {
  for (const [kind, provider] of providers) {
    assert.equal(provider.kind, kind);
    assert.ok(provider.title && provider.about.endsWith("."));
    const names = provider.fields.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const field of provider.fields) {
      assert.ok(field.label, field.name);
      if (field.type === "choice") assert.ok(field.choices.includes(field.initial), field.name);
    }
  }
});

test("what each kind needs to reach is asked for by the host, whatever the port", () => {
  const origins = (kind, settings) => providers.get(kind).origins(settings);
  assert.deepEqual(origins("canvas", {}), []);
  assert.deepEqual(origins("comfyui", { address: "http://127.0.0.1:8188/" }), ["http://127.0.0.1/*"]);
  assert.deepEqual(origins("automatic1111", { address: "nonsense" }), []);
  const both = { address: "https://api.example.com/v1", pictures: "https://files.example.com" };
  assert.deepEqual(origins("openai", both), ["https://api.example.com/*", "https://files.example.com/*"]);
  const recipe = { url: "https://studio.example.com/make", hosts: ["https://cdn.example.com"] };
  assert.deepEqual(origins("page", { recipe }), ["https://studio.example.com/*", "https://cdn.example.com/*"]);
});
