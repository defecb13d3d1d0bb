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

const PREVIEW = 1;
const PREVIEW_PNG = 2;
const END_TYPES = new Set(["execution_success", "execution_error", "execution_interrupted"]);

/**
 * Open the socket. A failure to open is not an error: polling gives the same information later.
 *
 * @param {string} base
 * @param {string} clientId
 * @param {(message: Message) => void} onMessage  called for every message that does not report an end
 * @param {(picture: Blob) => void} onPreview
 * @returns {ProgressSocket}
 */
export function openProgressSocket(base, clientId, onMessage, onPreview) {
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
    const picture = previewIn(data);
    if (picture) onPreview(picture);
    const message = parseMessage(data);
    if (isEnd(message)) notifyEnd();
    else if (message) onMessage(message);
  });
  return /** @type {ProgressSocket} */ (state);
}

/**
 * Binary messages have a number for their kind before their content. In a preview there is another one before the file,
 * for its type.
 *
 * @type {(data: unknown) => Blob | undefined}
 */
export function previewIn(data) {
  if (!(data instanceof ArrayBuffer) || data.byteLength <= 8) return undefined;
  const numbers = new DataView(data);
  if (numbers.getUint32(0) !== PREVIEW) return undefined;
  return new Blob([data.slice(8)], { type: numbers.getUint32(4) === PREVIEW_PNG ? "image/png" : "image/jpeg" });
}

/** @type {(data: unknown) => Message | undefined} */
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
