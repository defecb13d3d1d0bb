/** The extension's service worker: connects its parts with each other. */

import { capabilities } from "../providers/registry.js";
import { DEFAULTS, load } from "../shared/settings.js";
import { unavailableReason } from "./availability.js";
import { showBadge } from "./badge.js";
import { Connection } from "./connection.js";
import { DailyCounts } from "./daily_counts.js";
import { JobManager } from "./job_manager.js";
import { JobStore } from "./job_store.js";
import { handlePageRequest } from "./page_requests.js";
import { authenticate, heartbeat } from "./protocol.js";
import { homeOf } from "./records.js";
import { StatusStore } from "./status_store.js";

/** @typedef {import("../shared/types.js").Settings} Settings */
/** @typedef {import("../shared/types.js").WorkerRequest} WorkerRequest */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */

const ALARM = "wake";
const ALARM_MINUTES = 0.5;
const MAX_CAPABILITIES = 64;
const LEASE_LOST = "ERR_LEASE_LOST";

export class ExtensionWorker {
  #status = new StatusStore(showBadge);
  #counts = new DailyCounts();
  #jobs = new JobManager(new JobStore(), {
    settings: () => this.#settings,
    onChange: () => this.#publish(),
    onDone: () => this.#jobDone(),
    onFailed: (model, reason) => this.#jobFailed(model, reason),
  });
  #connection = new Connection({
    settings: () => this.#settings,
    authenticateMessage: () => this.#authenticateMessage(),
    heartbeatMessage: () => this.#heartbeatMessage(),
    onConnected: (socket, activeRequestIds) => this.#jobs.connected(socket, activeRequestIds),
    onMessage: (message) => void this.#handle(message),
    onStatus: (changes) => this.#status.update(changes),
    onDisconnected: ({ state }) => this.#disconnected(state),
  });
  /** @type {Settings} */
  #settings = DEFAULTS;
  /** @type {import("../shared/types.js").Status["notTaking"]} */
  #unavailableReason = "";
  #registeredAsAvailable = true;
  #updatePending = false;
  #ready = this.#start();

  /** Called on every event that starts the worker, and regularly by the alarm. */
  async wake() {
    await this.#ready;
    this.#refreshAvailability();
    this.#connection.ensureConnected();
    if (this.#updatePending && this.#jobs.requestIds.length === 0) chrome.runtime.reload();
  }

  /** Chrome installs an update only while the worker is stopped, so an idle extension reloads itself. */
  updateAvailable() {
    this.#updatePending = true;
    void this.wake();
  }

  /** @param {Settings} settings */
  async settingsChanged(settings) {
    await this.#ready;
    const previous = this.#settings;
    this.#settings = settings;
    if (homeOf(previous) !== homeOf(settings)) await this.#jobs.setHome(homeOf(settings));
    this.#refreshAvailability();
    this.#jobs.startWaiting();
    if (registrationKey(previous) !== registrationKey(settings)) this.#connection.reconnect();
  }

  /** @param {WorkerRequest} request */
  async handlePageRequest(request) {
    await this.#ready;
    return handlePageRequest(request, {
      settings: () => this.#settings,
      connect: () => this.#connection.reconnect(),
      updateStatus: (changes) => this.#status.update(changes),
    });
  }

  async #start() {
    await chrome.storage.local.setAccessLevel({ accessLevel: "TRUSTED_CONTEXTS" });
    await chrome.alarms.create(ALARM, { periodInMinutes: ALARM_MINUTES });
    this.#settings = await load();
    await this.#counts.load();
    const { retryAt } = await this.#status.load();
    this.#connection.waitUntil(retryAt ?? 0);
    await this.#jobs.restore(homeOf(this.#settings));
    this.#unavailableReason = unavailableReason(this.#settings, new Date());
    this.#status.update({ trial: undefined });
    this.#publish();
  }

  #jobDone() {
    this.#status.update({ failure: undefined });
    void this.#counts.increment("done").then(() => this.#publish());
  }

  /** @param {string} model @param {string} reason */
  #jobFailed(model, reason) {
    this.#status.update({ failure: { model, reason, at: Date.now() } });
    void this.#counts.increment("failed").then(() => this.#publish());
  }

  /** Notify the server at once when the extension starts or stops accepting jobs. */
  #refreshAvailability() {
    const previous = this.#unavailableReason;
    this.#unavailableReason = unavailableReason(this.#settings, new Date());
    if (previous === this.#unavailableReason) return;
    this.#publish();
    if (!this.#unavailableReason && !this.#registeredAsAvailable) this.#connection.reconnect();
    else this.#connection.sendHeartbeat();
  }

  #publish() {
    this.#status.update({
      taking: !this.#unavailableReason,
      notTaking: this.#unavailableReason,
      jobs: this.#jobs.summaries,
      unsent: this.#jobs.unconfirmed,
      today: this.#counts.today,
    });
  }

  /** The server assigns jobs right after authentication, so an unavailable extension registers without models. */
  #authenticateMessage() {
    this.#registeredAsAvailable = !this.#unavailableReason;
    const entries = this.#registeredAsAvailable ? this.#settings.providers : [];
    return authenticate({
      extensionId: this.#settings.extensionId,
      token: this.#settings.token,
      version: chrome.runtime.getManifest().version,
      capabilities: capabilities(entries).slice(0, MAX_CAPABILITIES),
      maxConcurrent: this.#settings.concurrency,
      activeRequestIds: this.#jobs.requestIds,
    });
  }

  #heartbeatMessage() {
    return heartbeat(this.#settings.extensionId, { ...this.#jobs.load, available: !this.#unavailableReason });
  }

  /** @param {ServerMessage} message */
  async #handle(message) {
    switch (message.type) {
      case "generate_image": return this.#jobs.accept(message.job);
      case "cancel_generation": return this.#jobs.cancel(message.requestId);
      case "image_generation_confirmed": return this.#jobs.confirm(message.requestId);
      case "error": return message.code === LEASE_LOST ? this.#jobs.release(message.requestId) : undefined;
      default: return undefined;
    }
  }

  /** After a refusal the server assigns our jobs to other extensions. @param {"waiting" | "refused"} state */
  #disconnected(state) {
    this.#jobs.disconnected();
    if (state === "refused") void this.#jobs.releaseAll();
  }
}

/** The settings that are sent with `authenticate`: a change requires a new connection. @param {Settings} settings */
function registrationKey({ server, token, extensionId, concurrency, providers }) {
  return JSON.stringify([server, token, extensionId, concurrency, capabilities(providers)]);
}
