// The built-in renderer: bands, progress, aborting, and determinism.

import assert from "node:assert/strict";
import { test } from "node:test";
import { canvas } from "../../../../extension/providers/canvas.js";
import { generationContext, pictureRequest, rejection } from "./support.js";

const surfaces = [];

globalThis.ImageData = class {
  constructor(width, height) {
    Object.assign(this, { width, height, data: new Uint8ClampedArray(4 * width * height) });
  }
};

/** A canvas that records its bands; its "PNG" consists of their pixels. */
globalThis.OffscreenCanvas = class {
  bands = [];

  constructor(width, height) {
    Object.assign(this, { width, height });
    surfaces.push(this);
  }

  getContext() {
    return { putImageData: (band, x, y) => this.bands.push({ band, x, y }) };
  }

  async convertToBlob({ type }) {
    return new Blob(this.bands.map(({ band }) => band.data), { type });
  }
};

const draw = async (changes, settings = {}) => {
  const request = pictureRequest({ width: 40, height: 24, ...changes });
  const blob = await canvas.generate(request, generationContext(settings));
  return Buffer.from(await blob.arrayBuffer()).toString("latin1");
};

test("the same request gives the same picture", async () => {
  assert.equal(await draw({}), await draw({ requestId: "another" }));
});

test("a different prompt, model, size, position or seed gives a different picture", async () => {
  const changes = [
    {}, { prompt: "b" }, { model: "b" }, { width: 41 }, { position: 1 },
    { parameters: { seed: 1 } }, { parameters: { seed: 2 } },
  ];
  const pictures = await Promise.all(changes.map((each) => draw(each)));
  assert.equal(new Set(pictures).size, changes.length);
});

test("every pixel is opaque, and the bands have no gaps", async () => {
  const text = await draw({ width: 8, height: 100 });
  const { bands } = surfaces.at(-1);
  let next = 0;
  for (const { band, y } of bands) {
    assert.equal(y, next);
    next += band.height;
  }
  assert.equal(next, 100);
  for (let at = 3; at < text.length; at += 4) assert.equal(text.charCodeAt(at), 255);
});

test("a large picture is drawn in bands of at most 2 MiB, and the canvas is freed", async () => {
  let count = 0;
  let most = 0;
  const stop = new AbortController();
  const put = globalThis.OffscreenCanvas.prototype.getContext;
  globalThis.OffscreenCanvas.prototype.getContext = () => ({
    putImageData: (band) => {
      most = Math.max(most, band.data.byteLength);
      count += 1;
      if (count === 3) stop.abort(new Error("enough"));
    },
  });
  const request = pictureRequest({ width: 8192, height: 8192 });
  const problem = await rejection(canvas.generate(request, generationContext({}, stop.signal)));
  globalThis.OffscreenCanvas.prototype.getContext = put;
  assert.equal(problem.message, "enough");
  assert.ok(most <= 2 << 20, `${most} bytes`);
  assert.deepEqual([surfaces.at(-1).width, surfaces.at(-1).height], [0, 0]);
});

test("progress rises from 0 to 100 in at least 16 steps", async () => {
  const reports = generationContext({});
  await canvas.generate(pictureRequest({ width: 32, height: 64 }), reports);
  const percents = reports.reports.map(({ percent }) => percent);
  assert.deepEqual(percents, percents.toSorted((a, b) => a - b));
  assert.equal(percents[0], 0);
  assert.equal(percents.at(-1), 100);
  assert.ok(percents.length >= 16, `${percents.length} steps`);
});

test("an aborted drawing stops between two bands", async () => {
  const stop = new AbortController();
  const slow = generationContext({ delayMs: 10_000 }, stop.signal);
  const rejected = rejection(canvas.generate(pictureRequest(), slow));
  stop.abort(new Error("aborted"));
  assert.equal((await rejected).message, "aborted");
  assert.equal(slow.reports.length, 1);
});
