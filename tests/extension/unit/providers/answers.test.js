// The tables in extension/docs/generators.md: each row is an answer to the request for a picture, and what becomes of
// it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { providers } from "../../../../extension/providers/registry.js";
import { generationContext, inputsOf, pictureRequest, rejection, startServer } from "./support.js";

const DOCUMENT = readFileSync(new URL("../../../../extension/docs/generators.md", import.meta.url), "utf8");
const ROW = /^\| `(\d{3}) ?(.*?)` \| (\w+) \| (yes|no) \| (–|\d+ min) \|$/;
const WORKFLOW = {
  1: { class_type: "EmptyLatentImage", inputs: { width: "%width%", text: "%prompt%" } },
  2: { class_type: "KSampler", inputs: { sampler_name: "euler", seed: "%seed%" } },
};

/** The headings of the tables, and the provider, its settings and the request that each is about. */
const GENERATORS = {
  "Images APIs": ["openai", "/images/generations", {}],
  "Variations and edits": ["openai", "/images/edits", {}, { inputs: inputsOf() }],
  "AUTOMATIC1111": ["automatic1111", "/sdapi/v1/txt2img", {}],
  "ComfyUI": ["comfyui", "/prompt", { workflow: WORKFLOW }],
};

globalThis.WebSocket = class extends EventTarget {
  constructor() {
    super();
    queueMicrotask(() => this.dispatchEvent(new Event("close")));
  }

  close() {}
};

/** The rows below a heading. */
function rows(heading) {
  const [, section] = DOCUMENT.match(new RegExp(`^## ${heading}\n([^]*?)(?=^## |(?![^]))`, "m"));
  return section.split("\n").filter((line) => /^\| `\d/.test(line)).map((line) => {
    assert.match(line, ROW);
    const [, status, body, code, retry, pause] = line.match(ROW);
    const pauseMs = pause === "–" ? undefined : parseInt(pause, 10) * 60_000;
    return { status: Number(status), body, code, retryable: retry === "yes", pauseMs };
  });
}

for (const [heading, [kind, path, settings, changes]] of Object.entries(GENERATORS)) {
  const table = rows(heading);

  test(`the table of ${heading} has rows`, () => assert.ok(table.length > 5));

  for (const { status, body, code, retryable, pauseMs } of table) {
    test(`${heading}: ${status} ${body}`, async (t) => {
      const { url } = await startServer(t, (request) => {
        return request.path === path ? { status, bytes: body } : { json: {} };
      });
      const context = generationContext({ address: url, ...settings });
      const failure = await rejection(providers.get(kind).generate(pictureRequest(changes), context));
      assert.deepEqual([failure.code, failure.retryable, failure.retryAfterMs], [code, retryable, pauseMs]);
      assert.match(failure.reason, /^[^].{10,299}$/s);
    });
  }
}
