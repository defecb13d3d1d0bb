import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import {
  DEFAULTS, InvalidSettings, load, parsePairingCode, save, subscribe, validate,
} from "../../../extension/shared/settings.js";
import { isUnencrypted, normalizeServerUrl } from "../../../extension/shared/addresses.js";
import { fakeChrome } from "./fake_chrome.js";

const VALID = { ...DEFAULTS, extensionId: "e1", server: "http://127.0.0.1:3000" };
const fetched = mock.method(globalThis, "fetch");

beforeEach(() => {
  fakeChrome();
  fetched.mock.mockImplementation(async () => {
    throw new TypeError("Failed to fetch");
  });
});

test("the first start creates a name, and later ones keep it", async () => {
  const first = await load();
  assert.match(first.extensionId, /^chrome-[0-9a-f]{12}$/);
  assert.deepEqual(await load(), first);
  assert.deepEqual(first, { ...DEFAULTS, extensionId: first.extensionId });
});

test("pages and the worker that start together create one name", async () => {
  const names = (await Promise.all(Array.from({ length: 10 }, load))).map((settings) => settings.extensionId);
  assert.equal(new Set(names).size, 1);
});

test("a copy that was downloaded from a server knows its address", async () => {
  fetched.mock.mockImplementation(async (url) => {
    assert.equal(url, "chrome-extension://id/server.json");
    return Response.json({ server: "https://pictures.example.com/" });
  });
  assert.equal((await load()).server, "https://pictures.example.com");
});

test("changing one setting keeps the others", async () => {
  await save({ server: "https://pictures.example.com", token: "t" });
  await Promise.all([save({ paused: true }), save({ concurrency: 4 })]);
  const { server, token, paused, concurrency } = await load();
  assert.deepEqual([server, token, paused, concurrency], ["https://pictures.example.com", "t", true, 4]);
});

test("settings of an older version get defaults for new fields", async () => {
  await chrome.storage.local.set({ settings: { extensionId: "old", hours: { enabled: true } } });
  assert.deepEqual(await load(), { ...DEFAULTS, extensionId: "old", hours: { ...DEFAULTS.hours, enabled: true } });
});

test("invalid settings are rejected with messages", async () => {
  const before = await load();
  await assert.rejects(save({ concurrency: 0 }), (problem) => {
    assert.ok(problem instanceof InvalidSettings);
    assert.deepEqual(problem.problems, { concurrency: "Jobs at once must be a whole number from 1 to 8." });
    return true;
  });
  assert.deepEqual(await load(), before);
});

test("a subscriber is notified of changes until it unsubscribes", async () => {
  const received = [];
  const unsubscribe = subscribe((settings) => received.push(settings.paused));
  await save({ paused: true });
  unsubscribe();
  await save({ paused: false });
  assert.deepEqual(received.slice(-1), [true]);
});

test("addresses are normalized", () => {
  const forms = {
    " https://a.example/ ": "https://a.example",
    "https://a.example/base//": "https://a.example/base",
    "http://a.example:3000/?x=1#y": "http://a.example:3000",
    "a.example": "https://a.example",
    "localhost:3000": "http://localhost:3000",
    "127.0.0.1:3000/": "http://127.0.0.1:3000",
    "": "",
    "http://": "http://",
  };
  for (const [typed, normalized] of Object.entries(forms)) assert.equal(normalizeServerUrl(typed), normalized, typed);
});

test("unencrypted addresses of other machines are detected", () => {
  const unencrypted = ["http://a.example", "ws://10.0.0.1/ws", "http://localhost.example.com"];
  const safe = ["https://a.example", "wss://a.example/ws", "http://localhost:1", "ws://127.0.0.9/", "http://[::1]"];
  assert.deepEqual(unencrypted.filter(isUnencrypted), unencrypted);
  assert.deepEqual(safe.filter(isUnencrypted), []);
});

test("each invalid field has a message, and no others", () => {
  assert.deepEqual(validate(VALID), {});
  assert.deepEqual(validate({ ...VALID, server: "" }), {});
  const entry = { ...DEFAULTS.providers[0], id: "p", name: " ", models: [] };
  const hours = { enabled: true, days: [], from: "9", to: "24:00" };
  const invalid = {
    server: "ftp://a.example", token: "two words", extensionId: "ä", concurrency: 1.5, hours, providers: [entry],
  };
  const fields = ["server", "token", "extensionId", "concurrency", "hours.from", "hours.to", "hours.days",
    "providers.p.name", "providers.p.models"];
  assert.deepEqual(Object.keys(validate({ ...VALID, ...invalid })), fields);
  for (const message of Object.values(validate({ ...VALID, ...invalid }))) assert.ok(message.length > 10, message);
});

test("working hours that are off are not validated", () => {
  assert.deepEqual(validate({ ...VALID, hours: { enabled: false, days: [], from: "", to: "" } }), {});
});

test("an address with a password is rejected", () => {
  assert.ok(validate({ ...VALID, server: "https://me:secret@a.example" }).server);
});

const code = (content) => `imagefleet:${Buffer.from(JSON.stringify(content)).toString("base64url")}`;

test("a pairing code is parsed, even with line breaks", () => {
  const content = { server: "https://a.example", extensionId: "e-1", token: "päß" };
  const text = code(content);
  assert.deepEqual(parsePairingCode(text), content);
  assert.deepEqual(parsePairingCode(` ${text.slice(0, 30)}\n${text.slice(30)} `), content);
  assert.deepEqual(parsePairingCode(code({ server: "https://a.example" })), { server: "https://a.example" });
});

test("an invalid pairing code is rejected with a message", () => {
  for (const text of ["", "hello", "imagefleet:", "imagefleet:%%%", code({}), code(null), code({ server: 7 })]) {
    assert.throws(() => parsePairingCode(text), /^Error: .{20,}/, text);
  }
});
