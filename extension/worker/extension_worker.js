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
import { ProviderStates } from "./provider_states.js";
import { homeOf } from "./records.js";
import { StatusStore } from "./status_store.js";

/** @typedef {import("../shared/types.js").Settings} Settings */
/** @typedef {import("../shared/types.js").WorkerRequest} WorkerRequest */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */

const ALARM = "wake";
const ALARM_MINUTES = 0.5;
const LEASE_LOST = "ERR_LEASE_LOST";

export class ExtensionWorker {
  #status = new StatusStore(showBadge);
  #counts = new DailyCounts();
  #providers = new ProviderStates();
  #jobs = new JobManager(new JobStore(), {
    settings: () => this.#settings,
    providers: () => this.#providers.ready,
    onPictureEnd: (entry, failure) => this.#pictureEnded(entry, failure),
    onChange: () => this.#refresh(),
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
  /** @type {string | undefined}  the capabilities that the server knows, as JSON; undefined without a connection */
  #registered;
  /** @type {boolean | undefined}  whether jobs are accepted according to the latest heartbeat of this connection */
  #saidAvailable;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pauseTimer;
  /** Whether the user removed what may have caused failures, since the latest authentication and the latest new job. */
  #repaired = false;
  #serverPausedUntil = 0;
  #updatePending = false;
  #ready = this.#start();

  /** Called on every event that starts the worker, and regularly by the alarm. */
  async wake() {
    await this.#ready;
    this.#refresh();
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
    await this.#providers.configure(settings.providers);
    if (JSON.stringify(previous.providers) !== JSON.stringify(settings.providers)) this.#markRepaired();
    if (registrationKey(previous) !== registrationKey(settings)) this.#reconnect();
    this.#refresh();
    this.#jobs.startWaiting();
  }

  /** The user gave or withdrew a permission. */
  async permissionsChanged() {
    await this.#ready;
    await this.#providers.configure(this.#settings.providers);
    this.#refresh();
  }

  /** @param {WorkerRequest} request */
  async handlePageRequest(request) {
    await this.#ready;
    return handlePageRequest(request, {
      settings: () => this.#settings,
      connect: () => this.#reconnect(),
      updateStatus: (changes) => this.#status.update(changes),
      onPicture: (entry) => this.#testSucceeded(entry),
    });
  }

  async #start() {
    await chrome.storage.local.setAccessLevel({ accessLevel: "TRUSTED_CONTEXTS" });
    await chrome.alarms.create(ALARM, { periodInMinutes: ALARM_MINUTES });
    this.#settings = await load();
    await this.#counts.load();
    const { retryAt } = await this.#status.load();
    this.#connection.waitUntil(retryAt ?? 0);
    await this.#providers.load();
    await this.#providers.configure(this.#settings.providers);
    await this.#jobs.restore(homeOf(this.#settings));
    this.#status.update({ trial: undefined });
    this.#refresh();
  }

  #jobDone() {
    this.#status.update({ failure: undefined });
    void this.#counts.increment("done").then(() => this.#refresh());
  }

  /** @param {string} model @param {string} reason */
  #jobFailed(model, reason) {
    this.#status.update({ failure: { model, reason, at: Date.now() } });
    void this.#counts.increment("failed").then(() => this.#refresh());
  }

  /** @type {import("./generation.js").JobContext["onEnd"]} */
  #pictureEnded(entry, failure) {
    if (failure) this.#providers.failed(entry, failure);
    else this.#providers.succeeded(entry);
    // The job's outcome is not recorded yet, so a failure could not be reported over a new connection.
    this.#refresh({ mayReconnect: false });
  }

  /** @param {import("../shared/types.js").ProviderEntry} entry */
  #testSucceeded(entry) {
    this.#providers.succeeded(entry);
    this.#markRepaired();
    this.#refresh();
  }

  #markRepaired() {
    this.#repaired = true;
    this.#reportRepair();
  }

  /** The server ends its pause when it learns of the repair, which it does at a new connection. */
  #reportRepair() {
    const isPaused = this.#registered !== undefined && Date.now() < this.#serverPausedUntil;
    if (this.#repaired && isPaused) this.#reconnect();
  }

  #reconnect() {
    this.#registered = undefined;
    this.#connection.reconnect();
  }

  /**
   * Show the current state, and notify the server at once when jobs are accepted again or no more. Models and
   * operations that are new, or no longer possible, need a new connection. It waits until no failure is left to report,
   * so that none is lost.
   */
  #refresh({ mayReconnect = true } = {}) {
    this.#unavailableReason = unavailableReason(this.#settings, this.#providers, new Date());
    this.#publish();
    this.#wakeAfterPause();
    if (this.#registered === undefined) return;
    const mustRegister = !this.#unavailableReason && !this.#isRegistered;
    if (mustRegister && mayReconnect && !this.#jobs.hasUnreportedFailure) this.#reconnect();
    else if (this.#saidAvailable === !this.#isAvailable) this.#connection.sendHeartbeat();
  }

  #wakeAfterPause() {
    clearTimeout(this.#pauseTimer);
    const { nextEnd } = this.#providers;
    // The alarm covers a worker that is stopped meanwhile.
    if (nextEnd !== undefined) this.#pauseTimer = setTimeout(() => void this.wake(), nextEnd - Date.now());
  }

  /** Whether the server knows the models that can be made now. */
  get #isRegistered() {
    return this.#registered === JSON.stringify(this.#providers.capabilities);
  }

  get #isAvailable() {
    return !this.#unavailableReason && this.#isRegistered;
  }

  #publish() {
    this.#status.update({
      taking: !this.#unavailableReason,
      notTaking: this.#unavailableReason,
      providers: this.#providers.states,
      jobs: this.#jobs.summaries,
      unsent: this.#jobs.unconfirmed,
      today: this.#counts.today,
    });
  }

  /**
   * An extension that accepts no jobs at the moment registers with all models that it will make again, so that requests
   * wait for it; the server assigns jobs right after authentication, so this message says that it is not available.
   */
  #authenticateMessage() {
    const available = !this.#unavailableReason;
    const registered = available ? this.#providers.capabilities : capabilities(this.#providers.ready);
    this.#registered = JSON.stringify(registered);
    this.#saidAvailable = undefined;
    const repaired = this.#repaired;
    this.#repaired = false;
    this.#serverPausedUntil = 0; // not known on this connection yet
    return authenticate({
      available,
      repaired,
      extensionId: this.#settings.extensionId,
      token: this.#settings.token,
      version: chrome.runtime.getManifest().version,
      capabilities: registered,
      maxConcurrent: this.#settings.concurrency,
      activeRequestIds: this.#jobs.requestIds,
    });
  }

  #heartbeatMessage() {
    this.#saidAvailable = this.#isAvailable;
    return heartbeat(this.#settings.extensionId, { ...this.#jobs.load, available: this.#saidAvailable });
  }

  /** @param {ServerMessage} message */
  async #handle(message) {
    switch (message.type) {
      case "generate_image": return this.#accept(message.job);
      case "cancel_generation": return this.#jobs.cancel(message.requestId);
      case "image_generation_confirmed": return this.#jobs.confirm(message.requestId);
      case "heartbeat_response": return this.#showServerPause(message);
      case "error": return message.code === LEASE_LOST ? this.#jobs.release(message.requestId) : undefined;
      default: return undefined;
    }
  }

  /** What this job may cause was not repaired before it. @param {import("../shared/types.js").Job} job */
  #accept(job) {
    this.#repaired = false;
    return this.#jobs.accept(job);
  }

  /**
   * The server may have begun the pause before the repair, and said so only now.
   *
   * @param {{pausedUntil?: number, pauseReason?: string}} message
   */
  #showServerPause({ pausedUntil, pauseReason = "" }) {
    this.#serverPausedUntil = pausedUntil ?? 0;
    this.#status.update({ serverPause: pausedUntil ? { until: pausedUntil, reason: pauseReason } : undefined });
    this.#reportRepair();
  }

  /** After a refusal the server assigns our jobs to other extensions. @param {"waiting" | "refused"} state */
  #disconnected(state) {
    this.#registered = undefined;
    this.#status.update({ serverPause: undefined });
    this.#jobs.disconnected();
    if (state === "refused") void this.#jobs.releaseAll();
  }
}

/**
 * The other settings that are sent with `authenticate`: a change requires a new connection.
 *
 * @param {Settings} settings
 */
function registrationKey({ server, token, extensionId, concurrency }) {
  return JSON.stringify([server, token, extensionId, concurrency]);
}
