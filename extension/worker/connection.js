/** The one connection to the server: there is never a second, and it comes back after whatever ends it. */

import { Backoff, later } from "./backoff.js";
import { findSocket, NoWayIn } from "./door.js";
import { ofClose } from "./endings.js";
import { Link } from "./link.js";

/** @typedef {import("../shared/types.js").Settings} Settings */
/** @typedef {import("../shared/types.js").Status} Status */
/** @typedef {import("./endings.js").Ending} Ending */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */

/**
 * @typedef {object} ConnectionEvents
 * @property {() => Settings} settings
 * @property {() => object} introduce  the `authenticate` to send
 * @property {() => object} beat  the `heartbeat` to send
 * @property {(link: Link, stillHeld: string[] | undefined) => void} welcome
 * @property {(message: ServerMessage) => void} hear
 * @property {(change: Partial<Status>) => void} tell  what becomes of the connection
 * @property {(ending: Ending) => void} lost  it ended, and will be tried again
 */

const HEARTBEAT_MS = 20_000;
/** A server that answers heartbeats and then says nothing for so long is gone. */
const SILENCE_MS = 60_000;
/** A connection that lasted was no failure. */
const SETTLED_MS = 5_000;

export class Connection {
  #events;
  #backoff = new Backoff();
  /** @type {AbortController | undefined}  the attempt under way, from its first question to the end of its socket */
  #attempt;
  /** @type {Link | undefined} */
  #link;
  #retryAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #heart;
  #answersHeartbeats = false;

  /** @param {ConnectionEvents} events */
  constructor(events) {
    this.#events = events;
  }

  /** The link over which things can be said, if there is one. */
  get link() {
    return this.#link?.isIn ? this.#link : undefined;
  }

  /** Go on waiting for what a worker before this one waited for. @param {number} retryAt */
  waitUntil(retryAt) {
    this.#retryAt = retryAt;
  }

  /** See that there is a connection, an attempt at one, or a moment set for the next. May be called at any time. */
  ensure() {
    if (this.#attempt) {
      this.#mindSilence();
    } else if (Date.now() < this.#retryAt) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.ensure(), this.#retryAt - Date.now());
    } else {
      this.#begin();
    }
  }

  /** Connect anew and at once, whatever there is. */
  renew() {
    this.#drop();
    this.#retryAt = 0;
    this.#backoff.reset();
    this.ensure();
  }

  /** Tell the server how things are here. */
  beat() {
    this.#link?.send(this.#events.beat());
  }

  /** @param {object} message  @returns {boolean}  whether it went out */
  send(message) {
    return this.#link?.send(message) ?? false;
  }

  #begin() {
    clearTimeout(this.#timer);
    if (!this.#events.settings().server) {
      this.#events.tell({ state: "unset", why: "No server is set yet.", retryAt: undefined });
      return;
    }
    this.#events.tell({ state: "connecting", retryAt: undefined });
    this.#attempt = new AbortController();
    void this.#open(this.#attempt);
  }

  /** @param {AbortController} attempt */
  async #open(attempt) {
    try {
      const url = await findSocket(this.#events.settings(), attempt.signal);
      if (this.#attempt === attempt) this.#link = this.#linkTo(url);
    } catch (problem) {
      if (this.#attempt === attempt) this.#end(endingOf(problem));
    }
  }

  /** @param {string} url */
  #linkTo(url) {
    /** @type {Link} */
    const link = new Link(url, {
      introduce: this.#events.introduce,
      welcome: (stillHeld) => this.#enter(link, stillHeld),
      hear: (message) => this.#hear(message),
      end: (close, livedMs) => {
        if (livedMs >= SETTLED_MS) this.#backoff.reset();
        this.#end(ofClose(close, this.#events.settings().extensionId));
      },
    });
    return link;
  }

  /** @param {Link} link @param {string[] | undefined} stillHeld */
  #enter(link, stillHeld) {
    this.#heart = setInterval(() => this.#pulse(), HEARTBEAT_MS);
    this.#answersHeartbeats = false;
    this.#events.tell({ state: "connected", why: "", retryAt: undefined });
    this.#events.welcome(link, stillHeld);
    this.beat();
  }

  /** @param {ServerMessage} message */
  #hear(message) {
    if (message.type === "heartbeat_response") this.#answersHeartbeats = true;
    this.#events.hear(message);
  }

  #pulse() {
    this.#mindSilence();
    this.beat();
  }

  /** Even a socket that leads nowhere any more looks open for a long time, as after a laptop slept. */
  #mindSilence() {
    if (this.#link && this.#answersHeartbeats && Date.now() - this.#link.heardAt > SILENCE_MS) {
      this.#link.giveUp("The server fell silent.");
    }
  }

  /** @param {Ending} ending */
  #end(ending) {
    this.#drop();
    const pauseMs = Math.max(this.#backoff.next(), ending.waitMs ? later(ending.waitMs) : 0);
    this.#retryAt = Date.now() + pauseMs;
    this.#events.tell({ state: ending.state, why: ending.why, retryAt: this.#retryAt });
    this.#events.lost(ending);
    this.ensure();
  }

  #drop() {
    clearInterval(this.#heart);
    clearTimeout(this.#timer);
    this.#attempt?.abort();
    this.#link?.abandon();
    this.#attempt = this.#link = undefined;
  }
}

/** @param {unknown} problem  @returns {Ending} */
function endingOf(problem) {
  if (problem instanceof NoWayIn) return problem.ending;
  return { state: "waiting", why: `The connection could not be opened: ${problem}.` };
}
