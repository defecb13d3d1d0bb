/** One WebSocket to the server, from opening to closing: it authenticates, then sends and receives messages. */

import { InvalidMessage, parseMessage } from "./protocol.js";

/** @typedef {import("./disconnections.js").SocketClose} SocketClose */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */

/**
 * @typedef {object} ServerSocketHandlers
 * @property {() => object} authenticateMessage
 * @property {(activeRequestIds: string[] | undefined) => void} onAuthenticated
 * @property {(message: ServerMessage) => void} onMessage
 * @property {(close: SocketClose, connectedMs: number) => void} onClosed  called once; not after `close()`
 */

const AUTHENTICATION_MS = 20_000;
const ABNORMAL = 1006;

export class ServerSocket {
  /** Distinguishes this connection from earlier ones. */
  id = crypto.randomUUID();
  /** When the latest message arrived, in ms since the epoch. */
  lastReceivedAt = Date.now();
  #socket;
  #handlers;
  #isAuthenticated = false;
  #isClosed = false;
  #authenticatedAt = 0;
  /** @type {SocketClose["error"]} */
  #error;
  #authenticationTimer;

  /** @param {string} url @param {ServerSocketHandlers} handlers */
  constructor(url, handlers) {
    this.#handlers = handlers;
    this.#authenticationTimer = setTimeout(() => this.fail("The server did not respond in time."), AUTHENTICATION_MS);
    this.#socket = new WebSocket(url);
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onclose = ({ code, reason }) => this.#closed(code, reason);
  }

  /**
   * Send a message if the socket is open and authenticated. Returns whether it was sent.
   *
   * @param {object} message
   */
  send(message) {
    const isReady = this.#isAuthenticated && !this.#isClosed && this.#socket.readyState === WebSocket.OPEN;
    if (isReady) this.#socket.send(JSON.stringify(message));
    return isReady;
  }

  /** Treat the socket as dead, without waiting for the closing handshake. @param {string} reason */
  fail(reason) {
    this.#error = { error: reason, code: "SILENCE" };
    this.#socket.close();
    this.#closed(ABNORMAL, "");
  }

  /** Close the socket; no handler is called any more. */
  close() {
    this.#isClosed = true;
    clearTimeout(this.#authenticationTimer);
    this.#socket.close(1000);
  }

  /** @param {unknown} data */
  #receive(data) {
    if (this.#isClosed) return;
    this.lastReceivedAt = Date.now();
    try {
      this.#handle(parseMessage(data));
    } catch (problem) {
      if (!(problem instanceof InvalidMessage)) throw problem;
    }
  }

  /** @param {ServerMessage} message */
  #handle(message) {
    if (message.type === "authentication_required") {
      this.#socket.send(JSON.stringify(this.#handlers.authenticateMessage()));
    } else if (message.type === "authentication_success" && !this.#isAuthenticated) {
      this.#authenticated(message.activeRequestIds);
    } else if (message.type === "error" && !message.requestId) {
      this.#error = message;
    } else if (this.#isAuthenticated) {
      this.#handlers.onMessage(message);
    }
  }

  /** @param {string[] | undefined} activeRequestIds */
  #authenticated(activeRequestIds) {
    clearTimeout(this.#authenticationTimer);
    this.#isAuthenticated = true;
    this.#authenticatedAt = Date.now();
    this.#handlers.onAuthenticated(activeRequestIds);
  }

  /** @param {number} code @param {string} reason */
  #closed(code, reason) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#authenticationTimer);
    const connectedMs = this.#isAuthenticated ? Date.now() - this.#authenticatedAt : 0;
    this.#handlers.onClosed({ code, reason, error: this.#error }, connectedMs);
  }
}
