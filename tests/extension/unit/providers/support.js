// Helpers for tests of providers: an HTTP server, a picture request, a generation context.

import { createServer } from "node:http";
import { once } from "node:events";

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/** A PNG of one pixel. */
export const PICTURE = { base64: PIXEL, bytes: Buffer.from(PIXEL, "base64") };

/** The start of a PNG of that size, which is all that is read of it outside of a browser. */
export function pngOf(width, height) {
  const bytes = Buffer.from(PICTURE.bytes);
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  return bytes;
}

/**
 * Start a server that is closed after the test. `respond` gets each request, whose body is `json` or a `form`, and
 * returns `{status, headers, json | bytes, isCut}`, "break" to break the connection, or undefined to never respond.
 * `requests` contains all requests so far.
 */
export async function startServer(test, respond) {
  const requests = [];
  const server = createServer(async (incoming, response) => {
    const { pathname, searchParams } = new URL(incoming.url, "http://localhost");
    const request = {
      method: incoming.method, path: pathname, query: searchParams, headers: incoming.headers,
      ...await readBody(incoming),
    };
    requests.push(request);
    const reply = await respond(request);
    if (reply === "break") incoming.socket.destroy();
    else if (reply) send(response, reply);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, host: `127.0.0.1:${server.address().port}`, requests };
}

async function readBody(incoming) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  if (incoming.headers["content-type"]?.startsWith("multipart/form-data")) {
    return { form: await new Response(body, { headers: incoming.headers }).formData() };
  }
  return { json: body.length > 0 ? JSON.parse(body) : undefined };
}

function send(response, { status = 200, headers = {}, json, bytes = JSON.stringify(json ?? {}), isCut }) {
  response.writeHead(status, headers);
  if (isCut) response.write(bytes, () => response.socket.destroy());
  else response.end(bytes);
}

/** Input pictures of a job, as a provider gets them. */
export function inputsOf(changes = {}) {
  const blob = new Blob([PICTURE.bytes], { type: "image/png" });
  return { images: [blob], size: { width: 1, height: 1 }, ...changes };
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
