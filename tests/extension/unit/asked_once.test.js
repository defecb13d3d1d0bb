// Nothing that costs money is asked for twice in one attempt: each generator counts what it is asked for, while it
// fails in every way, and while the worker is killed at every step.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate, setTimeout } from "node:timers/promises";

import { JobManager } from "../../../extension/worker/job_manager.js";
import { MemoryStore } from "./memory_store.js";
import { PICTURE, startServer } from "./providers/support.js";

const REQUEST = "550e8400-e29b-41d4-a716-446655440000";
const job = (fields) => ({ requestId: REQUEST, prompt: "a fox", model: "m", parameters: {}, lease: "l-1", ...fields });

const LONG_MS = 5000;
// Long enough for a request to arrive on a busy machine; where nothing is answered, the test lasts that long.
const PATIENCE_S = 10;
const SILENCE_S = 0.5;
const WORKFLOW = { 1: { class_type: "Mine", inputs: { a: "%prompt%" } } };

/** How each generator is asked for a picture, and how it answers with one. */
const GENERATORS = {
  openai: {
    asks: "/v1/images/generations", settings: (url) => ({ address: `${url}/v1` }),
    made: { json: { data: [{ b64_json: PICTURE.base64 }] } }, resumes: false,
  },
  automatic1111: {
    asks: "/sdapi/v1/txt2img", settings: (url) => ({ address: url }),
    made: { json: { images: [PICTURE.base64] } }, resumes: true,
  },
  comfyui: {
    asks: "/prompt",
    settings: (url) => ({ address: url, workflow: WORKFLOW }),
    made: { json: { prompt_id: "theirs", node_errors: {} } }, resumes: true,
  },
};

/** Answers to the request for a picture that give none. */
const FAILURES = {
  "no picture": { json: {} },
  "an empty list": { json: { data: [], images: [] } },
  "no JSON": { bytes: "<html>busy</html>" },
  "something that is no picture": { json: { data: [{ b64_json: "AAAA" }], images: ["AAAA"] } },
  "an address that is gone": { json: { data: [{ url: "/gone.png" }] } },
  "a bad request": { status: 400, json: { error: { message: "no" } } },
  "a wrong key": { status: 401, json: {} },
  "a limit": { status: 429, json: {}, headers: { "Retry-After": "1" } },
  "an internal error": { status: 500, json: {} },
  "an unavailable service": { status: 503, json: {} },
  "a redirect to nowhere": { status: 302, headers: { Location: "http://127.0.0.1:9/" } },
  "a broken connection": "break",
  "nothing": undefined,
};

globalThis.WebSocket = class extends EventTarget {
  constructor() {
    super();
    queueMicrotask(() => this.dispatchEvent(new Event("close")));
  }

  close() {}
};

/** A generator that counts how often it is asked for a picture. */
async function startGenerator(t, kind, answer) {
  const { asks, settings } = GENERATORS[kind];
  const server = await startServer(t, (request) => {
    if (request.path === asks) return typeof answer === "function" ? answer(request) : answer;
    if (request.path === "/gone.png" || request.path === "/view") return { status: 404 };
    return { json: {} };
  });
  const timeoutS = answer === undefined ? SILENCE_S : PATIENCE_S;
  const entry = {
    id: "g", kind, name: kind, enabled: true, models: ["*"], settings: { ...settings(server.url), timeoutS },
  };
  const asked = () => server.requests.filter(({ path, method }) => path === asks && method === "POST").length;
  return { entry, asked };
}

/** A worker with these generators, connected to a server that records its reports. */
async function startWorker(store, entries, { active } = {}) {
  const reports = [];
  const arrivals = [];
  const socket = {
    id: crypto.randomUUID(),
    send: (message) => {
      if (message.type !== "image_generation_progress") reports.push(message);
      arrivals.splice(0).forEach((arrived) => arrived());
      return true;
    },
  };
  const manager = new JobManager(store, {
    settings: () => ({ concurrency: 2, providers: entries }), providers: () => entries, onPictureEnd: () => undefined,
    onChange: () => undefined, onDone: () => undefined, onFailed: () => undefined,
  });
  await manager.restore("home");
  manager.connected(socket, active);
  const report = async (count = 1) => {
    while (reports.length < count) {
      await new Promise((resolve) => {
        arrivals.push(resolve);
      });
    }
    return reports[count - 1];
  };
  return { manager, report, reports };
}

/** Let everything run that is ready: a second request would be on its way by then. */
async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await setImmediate();
}

/** Wait until the condition holds; the test's timeout bounds it. */
async function until(condition) {
  while (!condition()) await setTimeout(5);
}

test.before(() => {
  // A killed worker leaves timers behind, which must not keep this process running.
  for (const name of ["setInterval", "setTimeout"]) {
    const start = globalThis[name];
    globalThis[name] = (work, ms, ...rest) => (ms < LONG_MS ? start(work, ms, ...rest) : start(work, ms).unref());
  }
  globalThis.chrome = { runtime: { getPlatformInfo: async () => ({}) }, permissions: { contains: async () => true } };
});

for (const kind of Object.keys(GENERATORS)) {
  for (const [name, answer] of Object.entries(FAILURES)) {
    test(`${kind} is asked once in each attempt if it answers with ${name}`, async (t) => {
      const { entry, asked } = await startGenerator(t, kind, answer);
      const { manager, report } = await startWorker(new MemoryStore(), [entry]);

      await manager.accept(job());
      assert.equal((await report(1)).type, "image_generation_failed");
      await settle();
      assert.equal(asked(), 1);

      await manager.accept(job({ lease: "l-2" }));
      assert.equal((await report(2)).lease, "l-2");
      await settle();
      assert.equal(asked(), 2);
    });
  }
}

test("another job that waits is started, and the failed one is not", async (t) => {
  const { entry, asked } = await startGenerator(t, "openai", { json: {} });
  const { manager, report } = await startWorker(new MemoryStore(), [entry]);
  await Promise.all(["a", "b", "c", "d"].map((requestId) => manager.accept(job({ requestId }))));
  await report(4);
  await settle();
  assert.equal(asked(), 4);
});

test("a picture that is made twice in a job is asked for twice", async (t) => {
  const { entry, asked } = await startGenerator(t, "openai", GENERATORS.openai.made);
  const { manager, report } = await startWorker(new MemoryStore(), [entry]);
  await manager.accept(job({ parameters: { numberOfImages: 2 } }));
  assert.equal((await report(1)).imageUrls.length, 2);
  assert.equal(asked(), 2);
});

/** The steps of a job at which its worker can end: a function that ends it there. */
const STEPS = ["asked", "answered", "savePicture", "saveJob"];

for (const step of STEPS) {
  test(`an images API is asked once if the worker is killed at the step "${step}"`, async (t) => {
    let kill;
    const killed = new Promise((resolve) => {
      kill = resolve;
    });
    const store = new MemoryStore();
    let survivors;
    const end = () => {
      survivors ??= store.survivors();
      kill();
    };
    const { entry, asked } = await startGenerator(t, "openai", () => {
      if (step === "asked") end();
      if (step === "answered") void setTimeout(0).then(end);
      return GENERATORS.openai.made;
    });
    if (step === "savePicture" || step === "saveJob") {
      const operation = store[step].bind(store);
      store[step] = async (record) => {
        const isLast = step === "savePicture" || record.outcome;
        if (isLast) end();
        return operation(record);
      };
    }
    const first = await startWorker(store, [entry]);
    void first.manager.accept(job());
    await killed;

    const second = await startWorker(new MemoryStore(survivors), [entry], { active: [REQUEST] });
    const report = await second.report(1);
    await settle();

    assert.equal(asked(), 1);
    const isKnown = survivors.pictures.length > 0;
    assert.equal(report.type, isKnown ? "image_generated" : "image_generation_failed");
    if (!isKnown) assert.equal(report.retryable, true);
  });
}

test("a picture is not asked for if it cannot be stored that it was", async (t) => {
  const { entry, asked } = await startGenerator(t, "openai", GENERATORS.openai.made);
  const store = new MemoryStore();
  store.markBegun = async () => {
    throw new Error("The disk is full.");
  };
  const { manager, report } = await startWorker(store, [entry]);
  await manager.accept(job());
  assert.match((await report(1)).reason, /The disk is full/);
  assert.equal(asked(), 0);
});

test("ComfyUI's workflow is taken up again by the next worker, and not sent again", async (t) => {
  let worker;
  const finished = { outputs: {}, status: { status_str: "success", completed: true, messages: [] } };
  const server = await startServer(t, ({ path, method, json }) => {
    if (path === "/prompt") return { json: { prompt_id: json.prompt_id, node_errors: {} } };
    if (path.startsWith("/history/")) return { json: worker === 2 ? { [path.slice(9)]: finished } : {} };
    if (path === "/queue" && method === "GET") return { json: { queue_running: [[1, queued()]], queue_pending: [] } };
    return { json: {} };
  });
  const queued = () => server.requests.find(({ path }) => path === "/prompt")?.json.prompt_id;
  const entry = {
    id: "g", kind: "comfyui", name: "ComfyUI", enabled: true, models: ["*"],
    settings: { ...GENERATORS.comfyui.settings(server.url), timeoutS: 5 },
  };
  const store = new MemoryStore();
  worker = 1;
  const first = await startWorker(store, [entry]);
  void first.manager.accept(job());
  await until(() => server.requests.some(({ path }) => path === "/queue"));
  const survivors = store.survivors();
  void first.manager.releaseAll();
  worker = 2;

  const second = await startWorker(new MemoryStore(survivors), [entry], { active: [REQUEST] });

  assert.equal((await second.report(1)).reason, "The workflow ended without saving a picture.");
  assert.equal(server.requests.filter(({ path }) => path === "/prompt").length, 1);
});

for (const [kind, expected] of [["comfyui", "/queue"], ["automatic1111", "/sdapi/v1/interrupt"]]) {
  test(`what an earlier worker left in ${kind} is ended if the job is gone`, async (t) => {
    let asked;
    const server = await startServer(t, (request) => {
      if (request.path === GENERATORS[kind].asks) {
        asked = request.json;
        return undefined;
      }
      return { json: { current_task: asked?.force_task_id } };
    });
    const entry = {
      id: "g", kind, name: kind, enabled: true, models: ["*"],
      settings: { ...GENERATORS[kind].settings(server.url), timeoutS: 5 },
    };
    const store = new MemoryStore();
    const first = await startWorker(store, [entry]);
    void first.manager.accept(job());
    await until(() => asked);
    const survivors = store.survivors();

    await startWorker(new MemoryStore(survivors), [entry], { active: [] });

    const wasEnded = () => server.requests.find(({ path, method }) => path === expected && method === "POST");
    await until(wasEnded);
    if (kind === "comfyui") assert.deepEqual(wasEnded().json, { delete: [asked.prompt_id] });
    void first.manager.releaseAll();
  });
}
