// Helpers for tests of providers: an HTTP server, a picture request, a generation context.

import { createServer } from "node:http";
import { once } from "node:events";

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/** A PNG of one pixel. */
export const PICTURE = { base64: PIXEL, bytes: Buffer.from(PIXEL, "base64") };

/**
 * Start a server that is closed after the test. `respond` gets each request and returns
 * `{status, headers, json | bytes}`, "break" to break the connection, or undefined to never respond. `requests`
 * contains all requests so far.
 */
export async function startServer(test, respond) {
  const requests = [];
  const server = createServer(async (incoming, response) => {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const { pathname, searchParams } = new URL(incoming.url, "http://localhost");
    const request = {
      method: incoming.method, path: pathname, query: searchParams, headers: incoming.headers,
      json: text ? JSON.parse(text) : undefined,
    };
    requests.push(request);
    const reply = await respond(request);
    if (!reply) return;
    if (reply === "break") {
      incoming.socket.destroy();
      return;
    }
    const { status = 200, headers = {}, json, bytes = JSON.stringify(json ?? {}) } = reply;
    response.writeHead(status, headers).end(bytes);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, host: `127.0.0.1:${server.address().port}`, requests };
}

export function pictureRequest(changes = {}) {
  return {
    requestId: "r1", prompt: "a red fox", model: "some-model", width: 640, height: 480, position: 0, parameters: {},
    attempt: crypto.randomUUID(), begun: false, ...changes,
  };
}

/** A context whose `reports` contain every progress report, and `values` what was used. */
export function generationContext(settings, signal = new AbortController().signal) {
  const reports = [];
  const values = {};
  return {
    settings, signal, reports, values,
    progress: (percent, message) => reports.push({ percent, message }), used: (more) => Object.assign(values, more),
  };
}

/** The reason of a rejected promise. */
export async function rejection(promise) {
  try {
    await promise;
  } catch (problem) {
    return problem;
  }
  throw new Error("It did not reject.");
}
