import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { check, DEFAULTS, load, readPairing, save, subscribe, Unfit } from "../../../extension/shared/settings.js";
import { tidyServer, travelsInTheOpen } from "../../../extension/shared/addresses.js";
import { fakeChrome } from "./fake_chrome.js";

const good = { ...DEFAULTS, extensionId: "e1", server: "http://127.0.0.1:3000" };
const fetched = mock.method(globalThis, "fetch");

beforeEach(() => {
  fakeChrome();
  fetched.mock.mockImplementation(async () => {
    throw new TypeError("Failed to fetch");
  });
});

test("the first start makes a name, and every later one finds it", async () => {
  const first = await load();
  assert.match(first.extensionId, /^chrome-[0-9a-f]{12}$/);
  assert.deepEqual(await load(), first);
  assert.deepEqual(first, { ...DEFAULTS, extensionId: first.extensionId });
});

test("pages and the worker that start together make one name", async () => {
  const names = (await Promise.all(Array.from({ length: 10 }, load))).map((settings) => settings.extensionId);
  assert.equal(new Set(names).size, 1);
});

test("a copy that a server handed out knows its address", async () => {
  fetched.mock.mockImplementation(async (url) => {
    assert.equal(url, "chrome-extension://id/server.json");
    return Response.json({ server: "https://pictures.example.com/" });
  });
  assert.equal((await load()).server, "https://pictures.example.com");
});

test("a change of one setting leaves the others", async () => {
  await save({ server: "https://pictures.example.com", token: "t" });
  await Promise.all([save({ paused: true }), save({ concurrency: 4 })]);
  const { server, token, paused, concurrency } = await load();
  assert.deepEqual([server, token, paused, concurrency], ["https://pictures.example.com", "t", true, 4]);
});

test("what an older version stored gets the new settings", async () => {
  await chrome.storage.local.set({ settings: { extensionId: "old", hours: { enabled: true } } });
  assert.deepEqual(await load(), { ...DEFAULTS, extensionId: "old", hours: { ...DEFAULTS.hours, enabled: true } });
});

test("settings that are not right are not saved, and it is said why", async () => {
  const before = await load();
  await assert.rejects(save({ concurrency: 0 }), (problem) => {
    assert.ok(problem instanceof Unfit);
    assert.deepEqual(problem.problems, { concurrency: "Jobs at once must be a whole number from 1 to 8." });
    return true;
  });
  assert.deepEqual(await load(), before);
});

test("whoever listens hears of every change until they end it", async () => {
  const heard = [];
  const end = subscribe((settings) => heard.push(settings.paused));
  await save({ paused: true });
  end();
  await save({ paused: false });
  assert.deepEqual(heard.slice(-1), [true]);
});

test("addresses are kept in one form", () => {
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
  for (const [typed, kept] of Object.entries(forms)) assert.equal(tidyServer(typed), kept, typed);
});

test("what leaves the machine unencrypted is told apart", () => {
  const open = ["http://a.example", "ws://10.0.0.1/ws", "http://localhost.example.com"];
  const closed = ["https://a.example", "wss://a.example/ws", "http://localhost:1", "ws://127.0.0.9/", "http://[::1]"];
  assert.deepEqual(open.filter(travelsInTheOpen), open);
  assert.deepEqual(closed.filter(travelsInTheOpen), []);
});

test("each field that is wrong has a sentence, and nothing else has", () => {
  assert.deepEqual(check(good), {});
  assert.deepEqual(check({ ...good, server: "" }), {});
  const entry = { ...DEFAULTS.providers[0], id: "p", name: " ", models: [] };
  const hours = { enabled: true, days: [], from: "9", to: "24:00" };
  const wrong = {
    server: "ftp://a.example", token: "two words", extensionId: "ä", concurrency: 1.5, hours, providers: [entry],
  };
  const fields = ["server", "token", "extensionId", "concurrency", "hours.from", "hours.to", "hours.days",
    "providers.p.name", "providers.p.models"];
  assert.deepEqual(Object.keys(check({ ...good, ...wrong })), fields);
  for (const sentence of Object.values(check({ ...good, ...wrong }))) assert.ok(sentence.length > 10, sentence);
});

test("hours that are switched off need not be right", () => {
  assert.deepEqual(check({ ...good, hours: { enabled: false, days: [], from: "", to: "" } }), {});
});

test("an address with a password in it is refused", () => {
  assert.ok(check({ ...good, server: "https://me:secret@a.example" }).server);
});

const code = (content) => `imagefleet:${Buffer.from(JSON.stringify(content)).toString("base64url")}`;

test("a pairing code is read, also where it was broken into lines", () => {
  const content = { server: "https://a.example", extensionId: "e-1", token: "päß" };
  const text = code(content);
  assert.deepEqual(readPairing(text), content);
  assert.deepEqual(readPairing(` ${text.slice(0, 30)}\n${text.slice(30)} `), content);
  assert.deepEqual(readPairing(code({ server: "https://a.example" })), { server: "https://a.example" });
});

test("what is no pairing code is refused in a sentence", () => {
  for (const text of ["", "hello", "imagefleet:", "imagefleet:%%%", code({}), code(null), code({ server: 7 })]) {
    assert.throws(() => readPairing(text), /^Error: .{20,}/, text);
  }
});
