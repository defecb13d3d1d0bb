// Conversion between form input and a provider's settings.

import assert from "node:assert/strict";
import { test } from "node:test";
import { formatModels, parseModels } from "../../../../extension/pages/options/models.js";
import { fieldProblem, formatValue, parseField } from "../../../../extension/pages/options/values.js";

const field = (type, more = {}) => ({ name: "n", label: "N", type, ...more });

test("input is converted to the field's type, and empty input to undefined", () => {
  assert.equal(parseField(field("text"), "  a b "), "a b");
  assert.equal(parseField(field("number"), " 3.5 "), 3.5);
  assert.deepEqual(parseField(field("json"), '{"a": [1]}'), { a: [1] });
  assert.equal(parseField(field("boolean"), true), true);
  for (const type of ["text", "number", "json", "url", "secret"]) {
    assert.equal(parseField(field(type), "  "), undefined);
  }
});

test("a value survives formatting and parsing", () => {
  for (const [type, value] of [["json", { a: { b: [] } }], ["number", 0], ["text", "x"], ["secret", "*"]]) {
    assert.deepEqual(parseField(field(type), formatValue(field(type), value)), value);
  }
  assert.equal(formatValue(field("text"), undefined), "");
});

test("required fields must not be empty", () => {
  assert.match(fieldProblem(field("text", { required: true }), " "), /required/);
  assert.equal(fieldProblem(field("text"), " "), "");
});

test("numbers outside the range are rejected, and the message shows the range", () => {
  const number = field("number", { min: 1, max: 4 });
  assert.deepEqual(["1", "4", "2.5"].map((text) => fieldProblem(number, text)), ["", "", ""]);
  assert.equal(fieldProblem(number, "5"), "This must be between 1 and 4.");
  assert.equal(fieldProblem(field("number", { min: 1 }), "0"), "This must be at least 1.");
  assert.equal(fieldProblem(field("number", { max: 1 }), "2"), "This must be at most 1.");
  assert.match(fieldProblem(number, "four"), /must be a number/);
});

test("an address must be http or https", () => {
  assert.equal(fieldProblem(field("url"), "http://127.0.0.1:7860"), "");
  for (const text of ["127.0.0.1", "localhost:7860", "file:///etc", "data:text/plain,1"]) {
    assert.match(fieldProblem(field("url"), text), /http/, text);
  }
});

test("invalid JSON is reported with the line, if it is known", () => {
  assert.match(fieldProblem(field("json"), '{\n  "a": 1,\n}'), /line 3, character 1/);
  assert.match(fieldProblem(field("json"), '{"a"'), /not valid JSON/);
  assert.equal(fieldProblem(field("json"), "[]"), "");
});

test("models are separated by commas or lines, without duplicates", () => {
  assert.deepEqual(parseModels(" a, b ,\n*,a,,"), ["a", "b", "*"]);
  assert.deepEqual(parseModels(formatModels(["a b", "c"])), ["a b", "c"]);
});
