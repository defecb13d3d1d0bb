/** What ComfyUI tells over its socket while it works: how far it is, and that it is done. */

import { isObject } from "./fields.js";

/**
 * @typedef {{type: string, data: Record<string, any>}} Message
 */
/**
 * @typedef {object} Heard
 * @property {boolean} open  whether it is heard at all
 * @property {Promise<void>} settled  fulfilled once it is heard, or is known not to be
 * @property {() => Promise<void>} next  fulfilled once something ends: the work, or the socket
 * @property {() => void} close
 */

const ENDS = new Set(["execution_success", "execution_error", "execution_interrupted"]);

/**
 * Listen. That there is no socket to be had is no failure: its answers to questions say the same, only later.
 *
 * @param {string} base
 * @param {string} clientId
 * @param {(share: number | undefined, node: string | undefined) => void} tell  a share is 0 to 1
 * @returns {Heard}
 */
export function listen(base, clientId, tell) {
  let wake = () => {};
  let settle = () => {};
  const socket = new WebSocket(`${base.replace(/^http/, "ws")}/ws?clientId=${encodeURIComponent(clientId)}`);
  const heard = {
    open: false,
    settled: new Promise((resolve) => {
      settle = () => resolve(undefined);
    }),
    next: () => new Promise((resolve) => {
      wake = () => resolve(undefined);
    }),
    close: () => socket.close(),
  };
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => {
    heard.open = true;
  });
  socket.addEventListener("close", () => {
    heard.open = false;
    settle();
    wake();
  });
  socket.addEventListener("message", ({ data }) => {
    // It greets with its state, and only from then on tells everything.
    settle();
    const message = read(data);
    if (isEnd(message)) wake();
    else if (message) tell(shareOf(message), message.data.node);
  });
  return /** @type {Heard} */ (heard);
}

/** Previews come as bytes, and are not looked at. @type {(data: unknown) => Message | undefined} */
function read(data) {
  if (typeof data !== "string") return undefined;
  try {
    const message = JSON.parse(data);
    return isObject(message) && isObject(message.data) ? /** @type {any} */ (message) : undefined;
  } catch {
    return undefined;
  }
}

/** @type {(message: Message | undefined) => boolean} */
function isEnd(message) {
  return message !== undefined
    && (ENDS.has(message.type) || (message.type === "executing" && message.data.node === null));
}

/** @type {(message: Message) => number | undefined} */
function shareOf({ type, data }) {
  return type === "progress" && data.max > 0 ? Math.min(1, Math.max(0, data.value / data.max)) : undefined;
}
