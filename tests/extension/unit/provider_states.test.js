// Which providers take jobs: what they lack, and pauses after failures.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { settingsProblem } from "../../../extension/providers/readiness.js";
import { Failure } from "../../../extension/shared/failures.js";
import { ProviderStates } from "../../../extension/worker/provider_states.js";
import { fakeChrome } from "./fake_chrome.js";

const OPERATIONS = ["image-variation", "image-edit"];
const entry = (id, changes = {}) => {
  return { id, kind: "canvas", name: id, enabled: true, models: [id], settings: {}, ...changes };
};
const openai = (settings) => entry("paid", { kind: "openai", settings });

/** States of these entries; `allowed` decides about permissions. */
async function statesOf(entries, allowed = () => true) {
  const states = new ProviderStates();
  chrome.permissions = { contains: async (wanted) => allowed(wanted) };
  await states.load();
  await states.configure(entries);
  return states;
}

test.beforeEach(() => {
  fakeChrome();
  mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
});
test.afterEach(() => mock.timers.reset());

test("a failure pauses its provider only, for as long as it says", async () => {
  const [one, two] = [entry("one"), entry("two")];
  const states = await statesOf([one, two]);
  states.failed(one, new Failure("No", { reason: "The key is wrong.", retryAfterMs: 60_000 }));
  assert.deepEqual(states.capabilities, ["image-generation", "two", ...OPERATIONS]);
  assert.deepEqual(states.states, [{ id: "one", name: "one", problem: "The key is wrong.", pausedUntil: 1_060_000 }]);
  assert.equal(states.nextEnd, 1_060_000);
  mock.timers.tick(60_000);
  assert.deepEqual(states.capabilities, ["image-generation", "one", "two", ...OPERATIONS]);
  assert.deepEqual(states.states, []);
  assert.equal(states.nextEnd, undefined);
});

test("without a time, the pauses grow with each failure in a row, up to ten minutes", async () => {
  const one = entry("one");
  const states = await statesOf([one]);
  const pauseAfterFailure = () => {
    states.failed(one, new Failure("No"));
    return (states.nextEnd ?? 0) - Date.now();
  };
  assert.deepEqual([1, 2, 3, 4].map(pauseAfterFailure), [2_000, 4_000, 8_000, 16_000]);
  for (let count = 0; count < 10; count += 1) pauseAfterFailure();
  assert.equal(pauseAfterFailure(), 600_000);
  states.succeeded(one);
  assert.equal(pauseAfterFailure(), 2_000);
});

test("a request's own fault pauses nobody", async () => {
  const one = entry("one");
  const states = await statesOf([one]);
  states.failed(one, new Failure("Invalid parameters", { retryable: false, retryAfterMs: 60_000 }));
  assert.deepEqual(states.states, []);
});

for (const [change, end] of Object.entries({
  "a picture": (states, one) => states.succeeded(one),
  "other settings": (states) => states.configure([entry("one", { settings: { delayMs: 1 } })]),
  "other models": (states) => states.configure([entry("one", { models: ["another"] })]),
})) {
  test(`${change} ends the pause`, async () => {
    const one = entry("one");
    const states = await statesOf([one]);
    states.failed(one, new Failure("No", { retryAfterMs: 900_000 }));
    await end(states, one);
    assert.deepEqual(states.states, []);
  });
}

test("a permission that is given ends the pause", async () => {
  let isAllowed = true;
  const one = entry("one");
  const states = await statesOf([one], () => isAllowed);
  states.failed(one, new Failure("No", { retryAfterMs: 900_000 }));
  isAllowed = false;
  await states.configure([one]);
  assert.deepEqual(states.ready, []);
  isAllowed = true;
  await states.configure([one]);
  assert.deepEqual(states.states, []);
});

test("a pause survives a restart of the worker, and other changes of the settings", async () => {
  const one = entry("one");
  const states = await statesOf([one]);
  states.failed(one, new Failure("No", { retryAfterMs: 60_000 }));
  const later = await statesOf([entry("one", { name: "Renamed" }), entry("two")]);
  assert.equal(later.states[0].pausedUntil, 1_060_000);
  assert.deepEqual(later.capabilities, ["image-generation", "two", ...OPERATIONS]);
});

test("a provider without its permission or its key takes no jobs, and says so", async () => {
  const states = await statesOf([entry("one"), openai({}), entry("off", { enabled: false })], ({ origins }) => {
    return !origins.includes("https://api.openai.com/*");
  });
  assert.deepEqual(states.ready.map(({ id }) => id), ["one"]);
  assert.deepEqual(states.states, [{ id: "paid", name: "paid", problem: "This address needs an API key." }]);
  const permitted = openai({ key: "sk" });
  await states.configure([permitted]);
  assert.match(states.states[0].problem, /not allowed to access https:\/\/api\.openai\.com yet/);
});

test("what is missing is named", () => {
  const problem = (kind, settings) => settingsProblem(entry("x", { kind, settings }));
  assert.equal(problem("canvas", {}), "");
  assert.equal(problem("comfyui", {}), "", "the initial address is used");
  assert.equal(problem("comfyui", { address: "" }), "Address is missing.");
  assert.equal(problem("automatic1111", { address: "nonsense" }), "Address is not a valid address.");
  assert.equal(problem("openai", { address: "http://127.0.0.1:8000/v1" }), "", "other services may need no key");
  assert.equal(problem("page", {}), "Recipe is missing.");
  assert.match(problem("page", { recipe: {} }), /^url must be an address/);
  assert.match(problem("telepathy", {}), /does not know this kind/);
});
