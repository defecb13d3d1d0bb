// Validation of recipes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { demoRecipe } from "../../../../extension/providers/demo_recipe.js";
import { page } from "../../../../extension/providers/page.js";
import { recipeProblem } from "../../../../extension/providers/page_recipe.js";

const VALID = demoRecipe("http://127.0.0.1:3000");

test("the recipe for the demonstration page is valid", () => {
  assert.equal(recipeProblem(VALID), undefined);
  assert.equal(VALID.url, "http://127.0.0.1:3000/extension/demo");
  assert.deepEqual(page.problems({ recipe: VALID }), {});
});

test("all actions, states and kinds of pictures are valid", () => {
  const steps = [
    { fill: "#a", with: "%prompt%", timeoutMs: 10 }, { choose: "#a", option: "b" }, { click: "#a" }, { press: "Enter" },
    { press: "Enter", in: "#a" }, { wait: "#a" }, { gone: "#a" }, { text: "Done" }, { text: "Done", in: "#a" },
  ];
  const rateLimited = { selector: "#a", text: "b", retryAfterMs: 5 };
  const states = { refused: [{ text: "no" }, { selector: "#no" }], rateLimited };
  for (const kind of ["img", "canvas", "background", "link"]) {
    const picture = { [kind]: "#x", timeoutMs: 5 };
    assert.equal(recipeProblem({ url: "https://a.example", steps, states, picture }), undefined);
  }
});

const INVALID = [
  ["The recipe must be a JSON object.", []],
  ["url must be an address", { ...VALID, url: "file:///etc/passwd" }],
  ["url must be an address", { ...VALID, url: "data:text/html,hi" }],
  ["script is unknown. Allowed: url", { ...VALID, script: "alert(1)" }],
  ["ready must be text of 1 to", { ...VALID, ready: "" }],
  ["steps must be a list of at most 60", { ...VALID, steps: {} }],
  ["steps must be a list of at most 60", { ...VALID, steps: Array(61).fill({ click: "#a" }) }],
  ["steps[1] must be an object", { ...VALID, steps: [{ click: "#a" }, "click"] }],
  ["steps[0] must have exactly one of fill, choose, click", { ...VALID, steps: [{ eval: "1" }] }],
  ["steps[0] must have exactly one of", { ...VALID, steps: [{ click: "#a", wait: "#b" }] }],
  ["steps[0].with must be text", { ...VALID, steps: [{ fill: "#a" }] }],
  ["steps[0].option must be text", { ...VALID, steps: [{ choose: "#a", option: 3 }] }],
  ["steps[0].click must be text", { ...VALID, steps: [{ click: 7 }] }],
  ["steps[0].timeout is unknown", { ...VALID, steps: [{ click: "#a", timeout: 5 }] }],
  ["steps[0].timeoutMs must be a whole number of ms", { ...VALID, steps: [{ click: "#a", timeoutMs: -1 }] }],
  ["picture must be an object", { ...VALID, picture: undefined }],
  ["picture must have exactly one of img, canvas", { ...VALID, picture: { img: "#a", link: "#b" } }],
  ["states.loggedout is unknown", { ...VALID, states: { loggedout: { text: "a" } } }],
  ["states.captcha needs a selector or text", { ...VALID, states: { captcha: {} } }],
  ["states.refused[1].text must be text", { ...VALID, states: { refused: [{ text: "a" }, { text: 1 }] } }],
  ["states.rateLimited.retryAfterMs must be", { ...VALID, states: { rateLimited: { text: "a", retryAfterMs: 1e12 } } }],
  ["hosts must be a list", { ...VALID, hosts: "https://a.example" }],
  ["hosts[0] must be an address", { ...VALID, hosts: ["a.example"] }],
];

for (const [message, recipe] of INVALID) {
  test(`"${message}" is reported for ${JSON.stringify(recipe).slice(0, 300)}`, () => {
    assert.ok(recipeProblem(recipe)?.startsWith(message), recipeProblem(recipe));
    assert.deepEqual(Object.keys(page.problems({ recipe })), ["recipe"]);
  });
}

test("in a page, an invalid selector is reported", (t) => {
  const querySelector = (selector) => {
    if (selector === "###") throw new SyntaxError("not a selector");
  };
  globalThis.document = { createDocumentFragment: () => ({ querySelector }) };
  t.after(() => delete globalThis.document);
  assert.match(recipeProblem({ ...VALID, ready: "###" }), /^ready is not a valid CSS selector: ###$/);
  assert.equal(recipeProblem(VALID), undefined);
});
