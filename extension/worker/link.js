/** One socket from its opening to its end: asked who we are we say it, are let in, and then hear and say things. */

import { BadMessage, read } from "./protocol.js";

/** @typedef {import("./endings.js").Close} Close */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */

/**
 * @typedef {object} LinkEvents
 * @property {() => object} introduce  the `authenticate` to send
 * @property {(stillHeld: string[] | undefined) => void} welcome  the server has let us in
 * @property {(message: ServerMessage) => void} hear
 * @property {(close: Close, livedMs: number) => void} end  once, and last; not after `abandon`
 */

const GREETING_MS = 20_000;
const ABNORMAL = 1006;

export class Link {
  /** Tells this connection from those before it. */
  id = crypto.randomUUID();
  /** When the server was last heard, in ms since the epoch. */
  heardAt = Date.now();
  #socket;
  #events;
  #isIn = false;
  #isOver = false;
  #letInAt = 0;
  /** @type {Close["complaint"]} */
  #complaint;
  #patience;

  /** @param {string} url @param {LinkEvents} events */
  constructor(url, events) {
    this.#events = events;
    this.#patience = setTimeout(() => this.giveUp("The server did not answer in time."), GREETING_MS);
    this.#socket = new WebSocket(url);
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onclose = ({ code, reason }) => this.#end(code, reason);
  }

  get isIn() {
    return this.#isIn && !this.#isOver;
  }

  /**
   * Whether it went out: before we are let in, and after the end, nothing does.
   *
   * @param {object} message
   */
  send(message) {
    if (!this.isIn || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** It is dead: end it here without waiting for the other side. @param {string} why */
  giveUp(why) {
    this.#complaint = { error: why, code: "SILENCE" };
    this.#socket.close();
    this.#end(ABNORMAL, "");
  }

  /** It is not wanted any more; nothing is heard of it from now on. */
  abandon() {
    this.#isOver = true;
    clearTimeout(this.#patience);
    this.#socket.close(1000);
  }

  /** @param {unknown} data */
  #receive(data) {
    if (this.#isOver) return;
    this.heardAt = Date.now();
    try {
      this.#take(read(data));
    } catch (problem) {
      if (!(problem instanceof BadMessage)) throw problem;
    }
  }

  /** @param {ServerMessage} message */
  #take(message) {
    if (message.type === "authentication_required") {
      this.#socket.send(JSON.stringify(this.#events.introduce()));
    } else if (message.type === "authentication_success" && !this.#isIn) {
      this.#enter(message.activeRequestIds);
    } else if (message.type === "error" && !message.requestId) {
      this.#complaint = message;
    } else if (this.#isIn) {
      this.#events.hear(message);
    }
  }

  /** @param {string[] | undefined} stillHeld */
  #enter(stillHeld) {
    clearTimeout(this.#patience);
    this.#isIn = true;
    this.#letInAt = Date.now();
    this.#events.welcome(stillHeld);
  }

  /** @param {number} code @param {string} reason */
  #end(code, reason) {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#patience);
    const livedMs = this.#isIn ? Date.now() - this.#letInAt : 0;
    this.#events.end({ code, reason, complaint: this.#complaint }, livedMs);
  }
}
