// Input pictures are fetched, and checked before a generator gets them.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { generatePictures } from "../../../extension/worker/generation.js";
import { fetchInputs } from "../../../extension/worker/inputs.js";
import { usedValues } from "../../../extension/worker/used_values.js";
import { MemoryStore } from "./memory_store.js";
import { PICTURE, pngOf, rejection, startServer } from "./providers/support.js";

const SVG = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>');
const FAST = [0, 0, 0];
const { signal } = new AbortController();

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const inputOf = (url, bytes, fields) => ({ url, sha256: sha256(bytes), role: "image", ...fields });
const bytesOf = async (blob) => Buffer.from(await blob.arrayBuffer());

/** A server with these files by path, each a Buffer or a function that returns a response. */
async function startFiles(t, files) {
  const server = await startServer(t, (request) => {
    const file = files[request.path];
    if (typeof file === "function") return file();
    return file ? { bytes: file } : { status: 404 };
  });
  return { ...server, at: (path, bytes = files[path], fields = {}) => inputOf(`${server.url}${path}`, bytes, fields) };
}

const failureOf = (t, inputImages, upload) => rejection(fetchInputs({ inputImages, upload }, signal, FAST));

test("a job without input pictures has no inputs", async () => {
  assert.equal(await fetchInputs({}, signal), undefined);
});

test("pictures and mask are fetched, with the strength of the first picture that has one", async (t) => {
  const [one, two, mask] = [pngOf(8, 6), pngOf(3, 3), pngOf(8, 6)];
  const { at, requests } = await startFiles(t, { "/1": one, "/2": two, "/m": mask });
  const inputs = await fetchInputs({ inputImages: [
    at("/m", mask, { role: "mask", strength: 0.9 }), at("/1"), at("/2", two, { strength: 0 }),
  ] }, signal);
  assert.deepEqual(await Promise.all(inputs.images.map(bytesOf)), [one, two]);
  assert.deepEqual(await bytesOf(inputs.mask), mask);
  assert.deepEqual([inputs.size, inputs.strength], [{ width: 8, height: 6 }, 0]);
  assert.equal(requests.some(({ headers }) => "authorization" in headers || "cookie" in headers), false);
});

/** What is at the address of the second picture, what was announced, and what becomes of it. */
const TABLE = {
  "a wrong hash": [PICTURE.bytes, pngOf(1, 1).fill(1), /^Input picture 2 is not the file .* SHA-256/, true],
  "nothing (404)": [() => ({ status: 404 }), PICTURE.bytes, /^Input picture 2 cannot be fetched: .* 404\.$/, true],
  "an address that is over (403)": [() => ({ status: 403 }), PICTURE.bytes, /^Input picture 2 .* 403\.$/, true],
  "a broken server": [() => ({ status: 500 }), PICTURE.bytes, /^Input picture 2 .* 500\.$/, true],
  "no server": [() => "break", PICTURE.bytes, /^Input picture 2 .*: the server cannot be reached\.$/, true],
  "a file that is cut off": [
    () => ({ bytes: PICTURE.bytes.subarray(0, 40) }), PICTURE.bytes, /^Input picture 2 is not the file/, true,
  ],
  "a transfer that is cut off": [
    () => ({ bytes: PICTURE.bytes.subarray(0, 40), headers: { "Content-Length": 69 }, isCut: true }), PICTURE.bytes,
    /^Input picture 2 cannot be fetched: the server cannot be reached\.$/, true,
  ],
  "30 MB": [Buffer.alloc(30_000_000), Buffer.alloc(30_000_000), /^Input picture 2 has more than 20 MiB\.$/, false],
  "an SVG": [SVG, SVG, /^Input picture 2 is not a PNG file\.$/, false],
  "an empty file": [Buffer.alloc(0), Buffer.alloc(0), /^Input picture 2 is not a PNG file\.$/, false],
  "too many pixels": [pngOf(9000, 4), pngOf(9000, 4), /^Input picture 2 has 9000 × 4 px; .* 8192\.$/, false],
  "a PNG without a size": [pngOf(0, 4), pngOf(0, 4), /^Input picture 2 is not a PNG file\.$/, false],
};

for (const [name, [served, announced, reason, retryable]] of Object.entries(TABLE)) {
  test(`an input picture is refused, and named: ${name}`, async (t) => {
    const { at } = await startFiles(t, { "/1": PICTURE.bytes, "/2": served });
    const failure = await failureOf(t, [at("/1"), at("/2", announced)]);
    assert.match(failure.reason, reason);
    assert.deepEqual([failure.retryable, failure.code], [retryable, "ERR_GENERATION_FAILED"]);
  });
}

test("a mask of another size is refused", async (t) => {
  const { at } = await startFiles(t, { "/1": pngOf(8, 6), "/m": pngOf(6, 8) });
  const { reason, retryable } = await failureOf(t, [at("/1"), at("/m", pngOf(6, 8), { role: "mask" })]);
  assert.deepEqual([reason, retryable], ["The mask has 6 × 8 px, and the picture has 8 × 6.", false]);
});

test("the server is asked again after a fault, and not after a refusal", async (t) => {
  const answers = ["break", { status: 503 }, { status: 429 }, { bytes: PICTURE.bytes }];
  const { at, requests } = await startFiles(t, { "/1": () => answers.shift(), "/gone": () => ({ status: 410 }) });
  const { images } = await fetchInputs({ inputImages: [at("/1", PICTURE.bytes)] }, signal, FAST);
  assert.deepEqual(await bytesOf(images[0]), PICTURE.bytes);
  assert.equal(requests.length, 4);
  await failureOf(t, [at("/gone", PICTURE.bytes)]);
  assert.equal(requests.length, 5);
});

test("a server that accepts larger pictures may send larger ones", async (t) => {
  const large = Buffer.concat([PICTURE.bytes, Buffer.alloc(21 << 20)]);
  const { at } = await startFiles(t, { "/1": large });
  const inputs = await fetchInputs({ inputImages: [at("/1")], upload: { maxBytes: 32 << 20 } }, signal);
  assert.equal(inputs.images[0].size, large.length);
});

test("a cancelled job ends the fetching", async (t) => {
  const { at } = await startFiles(t, { "/1": () => undefined });
  const stop = new AbortController();
  const failed = rejection(fetchInputs({ inputImages: [at("/1", PICTURE.bytes)] }, stop.signal));
  stop.abort(new Error("cancelled"));
  assert.equal((await failed).message, "cancelled");
});

// The choice of a generator

const job = (fields) => ({ requestId: "r", prompt: "a fox", model: "m", parameters: {}, lease: "l", ...fields });
const entry = (kind, models = ["m"]) => ({ id: kind, kind, name: kind, enabled: true, models, settings: {} });
const input = inputOf("http://127.0.0.1:9/1", PICTURE.bytes);
const mask = { ...input, role: "mask" };

async function refusal(entries, inputImages) {
  const context = { signal, progress: () => assert.fail("nothing is fetched") };
  return rejection(generatePictures({ job: job({ inputImages }), takenAt: 1 }, entries, new MemoryStore(), context));
}

for (const [name, entries, inputImages, reason] of [
  ["no generator can", [entry("page")], [input], "No generator here can make variations with the model m."],
  ["with a mask", [entry("page")], [input, mask], "No generator here can make edits with a mask with the model m."],
  ["only one for other models can", [entry("page"), entry("canvas", ["*"])], [input],
    "No generator here can make variations with the model m."],
  ["no generator takes so many", [entry("page")], [input, input, input],
    "No generator here can make variations of 3 pictures at once with the model m."],
  ["there is none for the model", [entry("canvas", ["n"])], [input], "No generator is set up for the model m."],
]) {
  test(`a job with input pictures is refused, and nothing is fetched: ${name}`, async () => {
    const failure = await refusal(entries, inputImages);
    assert.deepEqual([failure.reason, failure.retryable], [reason, true]);
    if (!reason.includes("set up")) assert.equal(failure.retryAfterMs, 0, "nothing pauses: other jobs go on");
  });
}

test("a strength that no generator used is reported as ignored", async () => {
  const ignored = async (used, inputImages) => {
    const pictures = [{ blob: new Blob([PICTURE.bytes]), used: { parameters: used } }];
    return (await usedValues(job({ parameters: { seed: 1 }, inputImages }), pictures)).ignoredParameters;
  };
  const strong = [{ ...input, strength: 0 }];
  assert.deepEqual(await ignored(["seed"], strong), ["strength"]);
  assert.deepEqual(await ignored(["strength"], strong), ["seed"]);
  assert.equal(await ignored(["seed"], [input]), undefined);
  assert.equal(await ignored(["seed"]), undefined);
});
