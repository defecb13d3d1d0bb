/** The extension at work: what belongs together is put together here. */

import { capabilities } from "../providers/registry.js";
import { DEFAULTS, load } from "../shared/settings.js";
import { answer } from "./asks.js";
import { showBadge } from "./badge.js";
import { Connection } from "./connection.js";
import { Desk } from "./desk.js";
import { Ledger } from "./ledger.js";
import { authenticate, heartbeat } from "./protocol.js";
import { homeOf } from "./records.js";
import { Board } from "./status.js";
import { whyNotTaking } from "./taking.js";
import { Tally } from "./tally.js";

/** @typedef {import("../shared/types.js").Ask} Ask */
/** @typedef {import("../shared/types.js").Settings} Settings */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */

const ALARM = "wake";
const ALARM_MINUTES = 0.5;
const MOST_CAPABILITIES = 64;
const LEASE_LOST = "ERR_LEASE_LOST";

export class Worker {
  #board = new Board(showBadge);
  #tally = new Tally();
  #desk = new Desk(new Ledger(), {
    settings: () => this.#settings,
    changed: () => this.#show(),
    count: (what) => this.#count(what),
    failed: (model, reason) => this.#board.set({ failure: { model, reason, at: Date.now() } }),
  });
  #connection = new Connection({
    settings: () => this.#settings,
    introduce: () => this.#introduction(),
    beat: () => this.#heartbeat(),
    welcome: (link, stillHeld) => this.#desk.welcome(link, stillHeld),
    hear: (message) => void this.#hear(message),
    tell: (change) => this.#board.set(change),
    lost: ({ state }) => this.#lost(state),
  });
  /** @type {Settings} */
  #settings = DEFAULTS;
  /** @type {import("../shared/types.js").Status["notTaking"]} */
  #notTaking = "";
  #introducedAsTaking = true;
  #updateWaits = false;
  #ready = this.#boot();

  /** Something happened that may have woken us: see that there is a connection. */
  async wake() {
    await this.#ready;
    this.#mindTaking();
    this.#connection.ensure();
    if (this.#updateWaits && this.#desk.ids.length === 0) chrome.runtime.reload();
  }

  /** There is a newer version: Chrome would wait for ever for a worker that never sleeps. */
  update() {
    this.#updateWaits = true;
    void this.wake();
  }

  /** @param {Settings} settings */
  async change(settings) {
    await this.#ready;
    const before = this.#settings;
    this.#settings = settings;
    if (homeOf(before) !== homeOf(settings)) await this.#desk.move(homeOf(settings));
    this.#mindTaking();
    this.#desk.settingsChanged();
    if (introducing(before) !== introducing(settings)) this.#connection.renew();
  }

  /** @param {Ask} question */
  async answer(question) {
    await this.#ready;
    return answer(question, {
      settings: () => this.#settings,
      connect: () => this.#connection.renew(),
      tell: (change) => this.#board.set(change),
    });
  }

  async #boot() {
    await chrome.storage.local.setAccessLevel({ accessLevel: "TRUSTED_CONTEXTS" });
    await chrome.alarms.create(ALARM, { periodInMinutes: ALARM_MINUTES });
    this.#settings = await load();
    await this.#tally.load();
    const { retryAt } = await this.#board.load();
    this.#connection.waitUntil(retryAt ?? 0);
    await this.#desk.open(homeOf(this.#settings));
    this.#notTaking = whyNotTaking(this.#settings, new Date());
    this.#board.set({ trial: undefined });
    this.#show();
  }

  /** @param {"done" | "failed"} what */
  #count(what) {
    if (what === "done") this.#board.set({ failure: undefined });
    void this.#tally.count(what).then(() => this.#show());
  }

  /** New work is taken, or not any more: the server hears of it at once. */
  #mindTaking() {
    const before = this.#notTaking;
    this.#notTaking = whyNotTaking(this.#settings, new Date());
    if (before === this.#notTaking) return;
    this.#show();
    if (!this.#notTaking && !this.#introducedAsTaking) this.#connection.renew();
    else this.#connection.beat();
  }

  #show() {
    this.#board.set({
      taking: !this.#notTaking,
      notTaking: this.#notTaking,
      jobs: this.#desk.shown,
      unsent: this.#desk.unsent,
      today: this.#tally.today,
    });
  }

  /** Whoever is introduced gets work at once; where none is to be taken, no model is named. */
  #introduction() {
    this.#introducedAsTaking = !this.#notTaking;
    const can = capabilities(this.#introducedAsTaking ? this.#settings.providers : []);
    return authenticate({
      extensionId: this.#settings.extensionId,
      token: this.#settings.token,
      version: chrome.runtime.getManifest().version,
      capabilities: can.slice(0, MOST_CAPABILITIES),
      maxConcurrent: this.#settings.concurrency,
      activeRequestIds: this.#desk.ids,
    });
  }

  #heartbeat() {
    return heartbeat(this.#settings.extensionId, { ...this.#desk.load, available: !this.#notTaking });
  }

  /** @param {ServerMessage} message */
  async #hear(message) {
    switch (message.type) {
      case "generate_image": return this.#desk.take(message.job);
      case "cancel_generation": return this.#desk.cancel(message.requestId);
      case "image_generation_confirmed": return this.#desk.confirm(message.requestId);
      case "error": return message.code === LEASE_LOST ? this.#desk.lose(message.requestId) : undefined;
      default: return undefined;
    }
  }

  /** Where we are not let in, others get what we had. @param {"waiting" | "refused"} state */
  #lost(state) {
    this.#desk.hangUp();
    if (state === "refused") void this.#desk.letGoOfAll();
  }
}

/** What the server knows of us; a change of it takes a new introduction. @param {Settings} settings */
function introducing({ server, token, extensionId, concurrency, providers }) {
  return JSON.stringify([server, token, extensionId, concurrency, capabilities(providers)]);
}
