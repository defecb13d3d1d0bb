// What is said of recipes that cannot be used.

import assert from "node:assert/strict";
import { test } from "node:test";
import { demoRecipe } from "../../../../extension/providers/demo_recipe.js";
import { page } from "../../../../extension/providers/page.js";
import { recipeProblem } from "../../../../extension/providers/page_recipe.js";

const good = demoRecipe("http://127.0.0.1:3000");

test("the recipe for the demonstration is one that can be used", () => {
  assert.equal(recipeProblem(good), undefined);
  assert.equal(good.url, "http://127.0.0.1:3000/extension/demo");
  assert.deepEqual(page.problems({ recipe: good }), {});
});

test("every word there is may be used", () => {
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

const WRONG = [
  ["The recipe must be a JSON object.", []],
  ["url must be an address", { ...good, url: "file:///etc/passwd" }],
  ["url must be an address", { ...good, url: "data:text/html,hi" }],
  ["script means nothing: there may be url", { ...good, script: "alert(1)" }],
  ["ready must be a text of 1 to", { ...good, ready: "" }],
  ["steps must be a list of at most 60", { ...good, steps: {} }],
  ["steps must be a list of at most 60", { ...good, steps: Array(61).fill({ click: "#a" }) }],
  ["steps[1] must be an object", { ...good, steps: [{ click: "#a" }, "click"] }],
  ["steps[0] must have just one of fill, choose, click", { ...good, steps: [{ eval: "1" }] }],
  ["steps[0] must have just one of", { ...good, steps: [{ click: "#a", wait: "#b" }] }],
  ["steps[0].with must be a text", { ...good, steps: [{ fill: "#a" }] }],
  ["steps[0].option must be a text", { ...good, steps: [{ choose: "#a", option: 3 }] }],
  ["steps[0].click must be a text", { ...good, steps: [{ click: 7 }] }],
  ["steps[0].timeout means nothing", { ...good, steps: [{ click: "#a", timeout: 5 }] }],
  ["steps[0].timeoutMs must be a whole number of ms", { ...good, steps: [{ click: "#a", timeoutMs: -1 }] }],
  ["picture must be an object", { ...good, picture: undefined }],
  ["picture must have just one of img, canvas", { ...good, picture: { img: "#a", link: "#b" } }],
  ["states.loggedout means nothing", { ...good, states: { loggedout: { text: "a" } } }],
  ["states.captcha must have a selector or a text", { ...good, states: { captcha: {} } }],
  ["states.refused[1].text must be a text", { ...good, states: { refused: [{ text: "a" }, { text: 1 }] } }],
  ["states.rateLimited.retryAfterMs must be", { ...good, states: { rateLimited: { text: "a", retryAfterMs: 1e12 } } }],
  ["hosts must be a list", { ...good, hosts: "https://a.example" }],
  ["hosts[0] must be an address", { ...good, hosts: ["a.example"] }],
];

for (const [sentence, recipe] of WRONG) {
  test(`"${sentence}" names what is wrong in ${JSON.stringify(recipe).slice(0, 300)}`, () => {
    assert.ok(recipeProblem(recipe)?.startsWith(sentence), recipeProblem(recipe));
    assert.deepEqual(Object.keys(page.problems({ recipe })), ["recipe"]);
  });
}

test("where there is a document, a selector that it does not understand is named", (t) => {
  const querySelector = (selector) => {
    if (selector === "###") throw new SyntaxError("not a selector");
  };
  globalThis.document = { createDocumentFragment: () => ({ querySelector }) };
  t.after(() => delete globalThis.document);
  assert.match(recipeProblem({ ...good, ready: "###" }), /^ready is no selector that the browser understands: ###$/);
  assert.equal(recipeProblem(good), undefined);
});
