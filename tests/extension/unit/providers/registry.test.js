// The choice of an entry for a model, and the capabilities that are registered.

import assert from "node:assert/strict";
import { test } from "node:test";
import { capabilities, entryForModel, providers } from "../../../../extension/providers/registry.js";

const entry = (id, models, changes = {}) => {
  return { id, kind: "canvas", name: id, enabled: true, models, settings: {}, ...changes };
};

test("an entry that lists the model comes before one with *", () => {
  const entries = [entry("any", ["*"]), entry("named", ["dall-e-3"])];
  assert.equal(entryForModel(entries, "dall-e-3").id, "named");
  assert.equal(entryForModel(entries, "another").id, "any");
});

test("the names of models match without case", () => {
  const entries = [entry("any", ["*"]), entry("named", ["DALL-E-3"])];
  assert.equal(entryForModel(entries, "dall-e-3").id, "named");
});

test("the first of two entries that list the model is chosen", () => {
  assert.equal(entryForModel([entry("one", ["m"]), entry("two", ["m"])], "m").id, "one");
});

test("disabled entries and unknown kinds are ignored", () => {
  const entries = [entry("off", ["m"], { enabled: false }), entry("odd", ["m"], { kind: "telepathy" })];
  assert.equal(entryForModel(entries, "m"), undefined);
  assert.deepEqual(capabilities(entries), ["image-generation", "(none)"]);
});

test("the capabilities are the models of all enabled entries, without duplicates", () => {
  const entries = [entry("a", ["m", "n"]), entry("b", ["m", "*"]), entry("off", ["x"], { enabled: false })];
  assert.deepEqual(capabilities(entries), ["image-generation", "m", "n", "*"]);
});

test("a paused entry takes its models along, and nothing else makes them", () => {
  const [named, any] = [entry("named", ["m", "n"]), entry("any", ["*", "x"])];
  const without = (...paused) => capabilities([named, any], (each) => paused.includes(each));
  assert.deepEqual(without(), ["image-generation", "m", "n", "*", "x"]);
  assert.deepEqual(without(any), ["image-generation", "m", "n"]);
  assert.deepEqual(without(named), ["image-generation", "x"], "* would include m and n");
  assert.deepEqual(without(named, any), ["image-generation", "(none)"]);
});

test("every kind has a title, a description and valid fields", () => {
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

test("permissions are requested by host, without the port", () => {
  const origins = (kind, settings) => providers.get(kind).origins(settings);
  assert.deepEqual(origins("canvas", {}), []);
  assert.deepEqual(origins("comfyui", { address: "http://127.0.0.1:8188/" }), ["http://127.0.0.1/*"]);
  assert.deepEqual(origins("automatic1111", { address: "nonsense" }), []);
  const both = { address: "https://api.example.com/v1", pictures: "https://files.example.com" };
  assert.deepEqual(origins("openai", both), ["https://api.example.com/*", "https://files.example.com/*"]);
  const recipe = { url: "https://studio.example.com/make", hosts: ["https://cdn.example.com"] };
  assert.deepEqual(origins("page", { recipe }), ["https://studio.example.com/*", "https://cdn.example.com/*"]);
});

test("generators that may cost money, or leave work in a page, are not asked again by a later worker", () => {
  const resuming = [...providers.values()].filter(({ resumes }) => resumes).map(({ kind }) => kind);
  assert.deepEqual(resuming, ["canvas", "automatic1111", "comfyui"]);
});
