// Which previews of a picture are sent, and how ComfyUI's are read.

import assert from "node:assert/strict";
import { test } from "node:test";

import { previewIn } from "../../../extension/providers/comfyui_socket.js";
import { Previews } from "../../../extension/worker/previews.js";

/** Previews whose `clock.now` and results the test sets. */
function started(most, shrink = async () => new Blob(["small"], { type: "image/webp" })) {
  const sent = [];
  const clock = { now: 0 };
  const previews = new Previews({ most, position: 3 }, (each) => sent.push(each), { shrink, now: () => clock.now });
  return { previews, sent, clock };
}

test("previews are spread over the progress, and more than a second apart", async () => {
  const { previews, sent, clock } = started(3);
  const counts = [];
  for (const [percent, now] of [[10, 0], [25, 100], [50, 200], [50, 2000], [60, 4000], [75, 5000], [99, 9000]]) {
    clock.now = now;
    previews.progress(percent);
    await previews.show(new Blob());
    counts.push(sent.length);
  }
  assert.deepEqual(counts, [0, 1, 1, 2, 2, 3, 3]);
  assert.deepEqual(sent[0], { mimeType: "image/webp", data: btoa("small"), position: 3 });
});

test("while one is made, no other is", async () => {
  let finish;
  const { previews, sent } = started(1, () => new Promise((resolve) => {
    finish = () => resolve(new Blob(["x"], { type: "image/webp" }));
  }));
  previews.progress(90);
  const first = previews.show(new Blob());
  assert.equal(previews.isDue, false);
  await previews.show(new Blob());
  finish();
  await first;
  assert.equal(sent.length, 1);
});

test("a preview that cannot be made is left out, and the next one is tried", async () => {
  const results = [new Error("broken"), undefined, new Blob(["x"], { type: "image/webp" })];
  const { previews, sent } = started(1, async () => {
    const result = results.shift();
    if (result instanceof Error) throw result;
    return result;
  });
  previews.progress(90);
  for (let count = 0; count < 3; count += 1) await previews.show(new Blob());
  assert.equal(sent.length, 1);
});

test("a preview of ComfyUI is the file behind two numbers", async () => {
  const message = (kind, type, ...bytes) => new Uint8Array([0, 0, 0, kind, 0, 0, 0, type, ...bytes]).buffer;
  for (const [type, name] of [[1, "image/jpeg"], [2, "image/png"]]) {
    const blob = previewIn(message(1, type, 7, 8));
    assert.deepEqual([blob.type, [...new Uint8Array(await blob.arrayBuffer())]], [name, [7, 8]]);
  }
  for (const other of ["{}", message(1, 1), message(3, 1, 7), message(4, 1, 7), new ArrayBuffer(0), undefined]) {
    assert.equal(previewIn(other), undefined);
  }
});
