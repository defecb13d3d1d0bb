/** The connection to the server: at most one socket at a time, reconnected after every disconnection. */

import { Backoff, withJitter } from "./backoff.js";
import { fromClose } from "./disconnections.js";
import { discoverSocketUrl, DiscoveryError } from "./discovery.js";
import { ServerSocket } from "./server_socket.js";

/** @typedef {import("../shared/types.js").Settings} Settings */
/** @typedef {import("../shared/types.js").Status} Status */
/** @typedef {import("./disconnections.js").Disconnection} Disconnection */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */

/**
 * @typedef {object} ConnectionHandlers
 * @property {() => Settings} settings
 * @property {() => object} authenticateMessage
 * @property {() => object} heartbeatMessage
 * @property {(socket: ServerSocket, activeRequestIds: string[] | undefined) => void} onConnected
 * @property {(message: ServerMessage) => void} onMessage
 * @property {(changes: Partial<Status>) => void} onStatus
 * @property {(disconnection: Disconnection) => void} onDisconnected  the next attempt is scheduled already
 */

const HEARTBEAT_MS = 20_000;
/** A server that responds to heartbeats is considered gone after this time without a message. */
const SILENCE_MS = 60_000;
/** A connection that lasted this long resets the backoff. */
const STABLE_MS = 5_000;

export class Connection {
  #handlers;
  #backoff = new Backoff();
  /** @type {AbortController | undefined}  the current attempt, from discovery until its socket is closed */
  #attempt;
  /** @type {ServerSocket | undefined} */
  #socket;
  #retryAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retryTimer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #heartbeatTimer;
  #respondsToHeartbeats = false;

  /** @param {ConnectionHandlers} handlers */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  /** Make the first attempt no earlier than this: a previous worker scheduled it. @param {number} retryAt */
  waitUntil(retryAt) {
    this.#retryAt = retryAt;
  }

  /** Connect, unless a connection or an attempt exists or the next one is scheduled. May be called at any time. */
  ensureConnected() {
    if (this.#attempt) {
      this.#checkSilence();
    } else if (Date.now() < this.#retryAt) {
      clearTimeout(this.#retryTimer);
      this.#retryTimer = setTimeout(() => this.ensureConnected(), this.#retryAt - Date.now());
    } else {
      this.#connect();
    }
  }

  /** Drop the current connection, if any, and connect now. */
  reconnect() {
    this.#dispose();
    this.#retryAt = 0;
    this.#backoff.reset();
    this.ensureConnected();
  }

  sendHeartbeat() {
    this.#socket?.send(this.#handlers.heartbeatMessage());
  }

  #connect() {
    clearTimeout(this.#retryTimer);
    if (!this.#handlers.settings().server) {
      this.#handlers.onStatus({ state: "unset", why: "No server address is set.", retryAt: undefined });
      return;
    }
    this.#handlers.onStatus({ state: "connecting", retryAt: undefined });
    this.#attempt = new AbortController();
    void this.#open(this.#attempt);
  }

  /** @param {AbortController} attempt */
  async #open(attempt) {
    try {
      const url = await discoverSocketUrl(this.#handlers.settings(), attempt.signal);
      if (this.#attempt === attempt) this.#socket = this.#openSocket(url);
    } catch (problem) {
      if (this.#attempt === attempt) this.#disconnected(toDisconnection(problem));
    }
  }

  /** @param {string} url */
  #openSocket(url) {
    /** @type {ServerSocket} */
    const socket = new ServerSocket(url, {
      authenticateMessage: this.#handlers.authenticateMessage,
      onAuthenticated: (activeRequestIds) => this.#connected(socket, activeRequestIds),
      onMessage: (message) => this.#receive(message),
      onClosed: (close, connectedMs) => {
        if (connectedMs >= STABLE_MS) this.#backoff.reset();
        this.#disconnected(fromClose(close, this.#handlers.settings().extensionId));
      },
    });
    return socket;
  }

  /** @param {ServerSocket} socket @param {string[] | undefined} activeRequestIds */
  #connected(socket, activeRequestIds) {
    this.#heartbeatTimer = setInterval(() => this.#beat(), HEARTBEAT_MS);
    this.#respondsToHeartbeats = false;
    this.#handlers.onStatus({ state: "connected", why: "", retryAt: undefined });
    this.#handlers.onConnected(socket, activeRequestIds);
    this.sendHeartbeat();
  }

  /** @param {ServerMessage} message */
  #receive(message) {
    if (message.type === "heartbeat_response") this.#respondsToHeartbeats = true;
    this.#handlers.onMessage(message);
  }

  #beat() {
    this.#checkSilence();
    this.sendHeartbeat();
  }

  /** A dead socket can look open for a long time, for example after a laptop slept. */
  #checkSilence() {
    if (this.#socket && this.#respondsToHeartbeats && Date.now() - this.#socket.lastReceivedAt > SILENCE_MS) {
      this.#socket.fail("The server stopped responding.");
    }
  }

  /** @param {Disconnection} disconnection */
  #disconnected(disconnection) {
    this.#dispose();
    const minimumMs = disconnection.waitMs ? withJitter(disconnection.waitMs) : 0;
    this.#retryAt = Date.now() + Math.max(this.#backoff.nextDelayMs(), minimumMs);
    this.#handlers.onStatus({ state: disconnection.state, why: disconnection.why, retryAt: this.#retryAt });
    this.#handlers.onDisconnected(disconnection);
    this.ensureConnected();
  }

  #dispose() {
    clearInterval(this.#heartbeatTimer);
    clearTimeout(this.#retryTimer);
    this.#attempt?.abort();
    this.#socket?.close();
    this.#attempt = this.#socket = undefined;
  }
}

/** @param {unknown} problem  @returns {Disconnection} */
function toDisconnection(problem) {
  if (problem instanceof DiscoveryError) return problem.disconnection;
  return { state: "waiting", why: `The connection could not be opened: ${problem}.` };
}
