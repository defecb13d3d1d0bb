// Between what is typed and what a provider's settings hold.

import assert from "node:assert/strict";
import { test } from "node:test";
import { modelsText, readModels } from "../../../../extension/pages/options/models.js";
import { problemOf, readField, textOf } from "../../../../extension/pages/options/values.js";

const field = (type, more = {}) => ({ name: "n", label: "N", type, ...more });

test("what is typed becomes what the type wants, and nothing becomes nothing", () => {
  assert.equal(readField(field("text"), "  a b "), "a b");
  assert.equal(readField(field("number"), " 3.5 "), 3.5);
  assert.deepEqual(readField(field("json"), '{"a": [1]}'), { a: [1] });
  assert.equal(readField(field("boolean"), true), true);
  for (const type of ["text", "number", "json", "url", "secret"]) assert.equal(readField(field(type), "  "), undefined);
});

test("a value comes back as it was", () => {
  for (const [type, value] of [["json", { a: { b: [] } }], ["number", 0], ["text", "x"], ["secret", "*"]]) {
    assert.deepEqual(readField(field(type), textOf(field(type), value)), value);
  }
  assert.equal(textOf(field("text"), undefined), "");
});

test("what is needed must be there", () => {
  assert.match(problemOf(field("text", { required: true }), " "), /needed/);
  assert.equal(problemOf(field("text"), " "), "");
});

test("a number keeps to its bounds, and the sentence names them", () => {
  const number = field("number", { min: 1, max: 4 });
  assert.deepEqual(["1", "4", "2.5"].map((text) => problemOf(number, text)), ["", "", ""]);
  assert.equal(problemOf(number, "5"), "This must be from 1 to 4.");
  assert.equal(problemOf(field("number", { min: 1 }), "0"), "This must be 1 or more.");
  assert.equal(problemOf(field("number", { max: 1 }), "2"), "This must be 1 or less.");
  assert.match(problemOf(number, "four"), /must be a number/);
});

test("an address is one of the web", () => {
  assert.equal(problemOf(field("url"), "http://127.0.0.1:7860"), "");
  for (const text of ["127.0.0.1", "localhost:7860", "file:///etc", "data:text/plain,1"]) {
    assert.match(problemOf(field("url"), text), /http/, text);
  }
});

test("what is no JSON is told with the line, where that is known", () => {
  assert.match(problemOf(field("json"), '{\n  "a": 1,\n}'), /line 3, character 1/);
  assert.match(problemOf(field("json"), '{"a"'), /no JSON/);
  assert.equal(problemOf(field("json"), "[]"), "");
});

test("models are names with commas or lines between, each once", () => {
  assert.deepEqual(readModels(" a, b ,\n*,a,,"), ["a", "b", "*"]);
  assert.deepEqual(readModels(modelsText(["a b", "c"])), ["a b", "c"]);
});
