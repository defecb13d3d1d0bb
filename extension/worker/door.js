/** Where the server's socket is: the server says so itself. */

import { ofAnswer } from "./endings.js";

/** @typedef {import("../shared/types.js").Settings} Settings */
/** @typedef {import("./endings.js").Ending} Ending */

const PATIENCE_MS = 15_000;

/** There is no way in for now; `ending` says why and when to try again. */
export class NoWayIn extends Error {
  /** @param {Ending} ending */
  constructor(ending) {
    super(ending.why);
    this.ending = ending;
  }
}

/**
 * The address of the socket. Rejects with NoWayIn.
 *
 * @param {Settings} settings
 * @param {AbortSignal} signal
 * @returns {Promise<string>}
 */
export async function findSocket({ server, token }, signal) {
  /** @type {Record<string, string>} */
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  try {
    const answer = await fetch(`${server}/api/websocket/info`, {
      headers,
      signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]),
      cache: "no-store",
      credentials: "omit",
    });
    return encryptedLike(server, await socketOf(answer));
  } catch (problem) {
    if (problem instanceof NoWayIn) throw problem;
    throw new NoWayIn({ state: "waiting", why: `The server at ${server} cannot be reached.` });
  }
}

/** @param {Response} answer */
async function socketOf(answer) {
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new NoWayIn(ofAnswer(answer.status, wordsOf(body), answer.headers.get("Retry-After")));
  if (/^wss?:\/\//i.test(body?.url) && URL.canParse(body.url)) return body.url;
  throw new NoWayIn({ state: "waiting", why: "What answers at this address is no Imagefleet server." });
}

/**
 * A server behind a proxy may not know that it is reached over TLS; the token goes no way that is less safe.
 *
 * @param {string} server
 * @param {string} url
 */
function encryptedLike(server, url) {
  return server.startsWith("https:") ? url.replace(/^ws:/i, "wss:") : url;
}

/** @param {any} body */
function wordsOf(body) {
  return typeof body?.message === "string" ? body.message : typeof body?.error === "string" ? body.error : "";
}
