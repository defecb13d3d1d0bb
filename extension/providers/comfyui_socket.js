/** ComfyUI's WebSocket, which reports progress and the end of a workflow. */

import { isObject } from "./validation.js";

/**
 * @typedef {{type: string, data: Record<string, any>}} Message
 */
/**
 * @typedef {object} ProgressSocket
 * @property {boolean} isOpen
 * @property {Promise<void>} settled  resolves when the socket receives messages, or has failed to open
 * @property {() => Promise<void>} nextEnd  resolves when a workflow ends, or the socket closes
 * @property {() => void} close
 */

const END_TYPES = new Set(["execution_success", "execution_error", "execution_interrupted"]);

/**
 * Open the socket. A failure to open is not an error: polling gives the same information later.
 *
 * @param {string} base
 * @param {string} clientId
 * @param {(fraction: number | undefined, node: string | undefined) => void} onProgress  fraction from 0 to 1
 * @returns {ProgressSocket}
 */
export function openProgressSocket(base, clientId, onProgress) {
  let notifyEnd = () => {};
  let settle = () => {};
  const socket = new WebSocket(`${base.replace(/^http/, "ws")}/ws?clientId=${encodeURIComponent(clientId)}`);
  const state = {
    isOpen: false,
    settled: new Promise((resolve) => {
      settle = () => resolve(undefined);
    }),
    nextEnd: () => new Promise((resolve) => {
      notifyEnd = () => resolve(undefined);
    }),
    close: () => socket.close(),
  };
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => {
    state.isOpen = true;
  });
  socket.addEventListener("close", () => {
    state.isOpen = false;
    settle();
    notifyEnd();
  });
  socket.addEventListener("message", ({ data }) => {
    // ComfyUI sends its state first, and reports everything after that.
    settle();
    const message = parseMessage(data);
    if (isEnd(message)) notifyEnd();
    else if (message) onProgress(fractionOf(message), message.data.node);
  });
  return /** @type {ProgressSocket} */ (state);
}

/** Binary messages are previews and are ignored. @type {(data: unknown) => Message | undefined} */
function parseMessage(data) {
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
    && (END_TYPES.has(message.type) || (message.type === "executing" && message.data.node === null));
}

/** @type {(message: Message) => number | undefined} */
function fractionOf({ type, data }) {
  return type === "progress" && data.max > 0 ? Math.min(1, Math.max(0, data.value / data.max)) : undefined;
}
