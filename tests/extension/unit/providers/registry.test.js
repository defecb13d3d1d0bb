// The choice of an entry for a model, and the capabilities that are registered.

import assert from "node:assert/strict";
import { test } from "node:test";
import { capabilities, entryForInputs, entryForModel, providers } from "../../../../extension/providers/registry.js";

const OPERATIONS = ["image-variation", "image-edit"];
const VARIATION = { operation: "image-variation", images: 1 };
const EDIT = { operation: "image-edit", images: 1 };
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
  assert.deepEqual(capabilities(entries), ["image-generation", "m", "n", "*", ...OPERATIONS]);
});

test("a paused entry takes its models along, and nothing else makes them", () => {
  const [named, any] = [entry("named", ["m", "n"]), entry("any", ["*", "x"])];
  const without = (...paused) => capabilities([named, any], (each) => paused.includes(each));
  assert.deepEqual(without(), ["image-generation", "m", "n", "*", "x", ...OPERATIONS]);
  assert.deepEqual(without(any), ["image-generation", "m", "n", ...OPERATIONS]);
  assert.deepEqual(without(named), ["image-generation", "x", ...OPERATIONS], "* would include m and n");
  assert.deepEqual(without(named, any), ["image-generation", "(none)"]);
});

test("a job with input pictures goes to the first entry for its model that can do it", () => {
  const [page, able, other] = [entry("page", ["m"], { kind: "page" }), entry("able", ["m"]), entry("other", ["m"])];
  assert.equal(entryForModel([page, able, other], "m").id, "page");
  assert.equal(entryForInputs([page, able, other], "m", VARIATION).id, "able");
  assert.equal(entryForInputs([page, able, other], "M", EDIT).id, "able");
  assert.equal(entryForInputs([page, able], "m", { operation: "image-edit", images: 5 }), undefined);
  assert.equal(entryForInputs([page, { ...able, enabled: false }], "m", VARIATION), undefined);
});

test("an entry with * is no substitute for one that lists the model", () => {
  const entries = [entry("page", ["m"], { kind: "page" }), entry("any", ["*"])];
  assert.equal(entryForInputs(entries, "m", VARIATION), undefined);
  assert.equal(entryForInputs(entries, "another", VARIATION).id, "any");
});

test("operations are announced only if an entry that is not paused can do them", () => {
  const [page, able] = [entry("page", ["m"], { kind: "page" }), entry("able", ["m", "n"])];
  const announced = (entries, ...paused) => capabilities(entries, (each) => paused.includes(each));
  assert.deepEqual(announced([page]), ["image-generation", "m"]);
  assert.deepEqual(announced([page, able]), ["image-generation", "m", "n", ...OPERATIONS]);
  assert.deepEqual(announced([page, able], able), ["image-generation", "m"]);
  assert.deepEqual(announced([able], able), ["image-generation", "(none)"]);
});

test("however many models there are, the operations are among the 64 capabilities", () => {
  const models = Array.from({ length: 60 }, (_, number) => `model-${number}`);
  const announced = capabilities([entry("a", models), entry("b", models.map((model) => `${model}-b`))]);
  assert.equal(announced.length, 64);
  assert.deepEqual(announced.slice(-2), OPERATIONS);
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
