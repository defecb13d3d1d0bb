// What tests of providers share: a generator of their own over HTTP, an order, and what is heard.

import { createServer } from "node:http";
import { once } from "node:events";

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/** A PNG of one pixel. */
export const PICTURE = { base64: PIXEL, bytes: Buffer.from(PIXEL, "base64") };

/**
 * A server that answers with what `respond` says of a question: `{status, headers, json | bytes}`, or nothing at all,
 * ever. `asked` has every question so far. It is closed with the test.
 */
export async function serving(test, respond) {
  const asked = [];
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const text = Buffer.concat(parts).toString();
    const { pathname, searchParams } = new URL(request.url, "http://here");
    const question = {
      method: request.method, path: pathname, query: searchParams, headers: request.headers,
      json: text ? JSON.parse(text) : undefined,
    };
    asked.push(question);
    const answer = await respond(question);
    if (!answer) return;
    const { status = 200, headers = {}, json, bytes = JSON.stringify(json ?? {}) } = answer;
    response.writeHead(status, headers).end(bytes);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, host: `127.0.0.1:${server.address().port}`, asked };
}

export function anOrder(changes = {}) {
  return {
    requestId: "r1", prompt: "a red fox", model: "some-model", width: 640, height: 480, position: 0, parameters: {},
    ...changes,
  };
}

/** Help with a signal of the test's own; `heard` has every report of progress. */
export function help(settings, signal = new AbortController().signal) {
  const heard = [];
  return { settings, signal, heard, progress: (percent, words) => heard.push({ percent, words }) };
}

/** What a promise rejects with. */
export async function rejection(promise) {
  try {
    await promise;
  } catch (problem) {
    return problem;
  }
  throw new Error("It did not reject.");
}
