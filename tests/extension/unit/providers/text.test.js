// Texts of other services: on one line, bounded, and without the folders of their machine.

import assert from "node:assert/strict";
import { test } from "node:test";
import { shorten } from "../../../../extension/providers/text.js";

const PATHS = {
  "[Errno 2] No such file or directory: '/home/ann/ComfyUI/models/a b.ckpt'":
    "[Errno 2] No such file or directory: '…/a b.ckpt'",
  "File \"/opt/My Comfy/execution.py\", line 3": "File \"…/execution.py\", line 3",
  "could not open /var/lib/comfy/out.png: disk full": "could not open …/out.png: disk full",
  "see ~/models/x.ckpt, or (/mnt/a/b)": "see …/x.ckpt, or (…/b)",
  "C:\\Users\\Ann Smith\\ComfyUI\\main.py failed": "…/main.py failed",
  "'D:/ComfyUI/models/x.ckpt' is broken": "'…/x.ckpt' is broken",
  "on \\\\nas\\share\\models\\x.ckpt": "on …/x.ckpt",
  "file:///home/ann/x.html": "…/x.html",
};

test("paths of the generator's machine lose their folders", () => {
  for (const [text, expected] of Object.entries(PATHS)) assert.equal(shorten(text), expected);
});

test("other text stays as it is", () => {
  for (const text of [
    "width: Value 8 smaller than min of 16", "and/or", "https://platform.example.com/docs/errors?a=/b/c", "1/2 or 3/4",
    "ckpt_name: 'x/y.ckpt' not in ['sd/v1.ckpt']", "10:30 at 127.0.0.1:8188", "/prompt", "say \"hello\" and 'bye'",
  ]) assert.equal(shorten(text), text);
});

test("the text is on one line and bounded", () => {
  assert.equal(shorten(" a\n\tb\u0000c "), "a b c");
  assert.equal(shorten("x".repeat(400)).length, 300);
  assert.equal(shorten(undefined), "");
});
