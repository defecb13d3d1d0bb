/** Manages the accepted jobs: runs them, stores them, and reports results until the server confirms them. */

import { Failure } from "../shared/failures.js";
import { abandonPicture, generatePictures } from "./generation.js";
import { keepAlive } from "./keep_alive.js";
import { failed, generated, progress } from "./protocol.js";
import { canReusePictures, expired } from "./records.js";
import { Task } from "./task.js";
import { uploadPictures } from "./upload.js";

/** @typedef {import("../shared/types.js").Job} Job */
/** @typedef {import("../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {import("../shared/types.js").Settings} Settings */
/** @typedef {import("./job_store.js").JobStore} JobStore */
/** @typedef {import("./records.js").Outcome} Outcome */
/** @typedef {import("./server_socket.js").ServerSocket} ServerSocket */

/**
 * @typedef {object} JobManagerHandlers
 * @property {() => Settings} settings
 * @property {() => ProviderEntry[]} providers  those that can be used
 * @property {(entry: ProviderEntry, failure?: Failure) => void} onPictureEnd  a generator made a picture, or failed to
 * @property {() => void} onChange  something that the user may see has changed
 * @property {() => void} onDone  a result was confirmed
 * @property {(model: string, reason: string) => void} onFailed  a failure was reported to the server
 */

export class JobManager {
  #store;
  #handlers;
  /** The server and the extension ID whose jobs are current. */
  #home = "";
  /** @type {Map<string, Task>} */
  #tasks = new Map();
  /** @type {Set<Task>} */
  #running = new Set();
  /** @type {ServerSocket | undefined} */
  #socket;
  #disconnection = new AbortController();

  /** @param {JobStore} store @param {JobManagerHandlers} handlers */
  constructor(store, handlers) {
    this.#store = store;
    this.#handlers = handlers;
  }

  /** Load the jobs of a previous worker. They start once the server lists them as active. @param {string} home */
  async restore(home) {
    for (const record of await this.#store.jobs()) {
      this.#tasks.set(record.requestId, new Task(record, { ready: false }));
    }
    await this.setHome(home);
    await this.#store.deleteOrphans(this.#tasks.keys());
  }

  /** Forget the jobs of any other server or extension ID. @param {string} home */
  async setHome(home) {
    this.#home = home;
    await this.#forgetExpired();
  }

  /** The requests that this extension holds. */
  get requestIds() {
    return this.#held.map((task) => task.requestId);
  }

  get load() {
    const unfinished = this.#held.filter((task) => !task.record.outcome).length;
    const active = Math.min(this.#running.size, unfinished);
    return { active, waiting: unfinished - active, requestIds: this.requestIds };
  }

  get summaries() {
    return this.#held.filter((task) => !task.record.sentOver).map((task) => task.summary);
  }

  /** The number of results that are not confirmed. */
  get unconfirmed() {
    return this.#held.filter((task) => task.record.outcome).length;
  }

  /**
   * Continue the jobs that this extension still holds, and report the results that are finished.
   *
   * @param {ServerSocket} socket
   * @param {string[] | undefined} activeRequestIds  as the server sees it; undefined means all of ours
   */
  connected(socket, activeRequestIds) {
    this.#socket = socket;
    this.#disconnection = new AbortController();
    for (const task of this.#held) {
      if (activeRequestIds && !activeRequestIds.includes(task.requestId)) void this.#release(task);
    }
    for (const task of this.#held) {
      task.ready = true;
      void this.#deliver(task);
    }
    this.startWaiting();
    this.#handlers.onChange();
  }

  /** Jobs continue while disconnected; only reports wait. */
  disconnected() {
    this.#socket = undefined;
    this.#disconnection.abort();
  }

  async releaseAll() {
    await Promise.all(this.#held.map((task) => this.#release(task)));
  }

  /** Start waiting jobs, up to the concurrency in the settings. */
  startWaiting() {
    for (const task of this.#tasks.values()) {
      if (this.#running.size >= this.#handlers.settings().concurrency) return;
      if (task.isWaiting) void this.#run(task);
    }
  }

  /** @param {Job} job */
  async accept(job) {
    const known = this.#tasks.get(job.requestId);
    if (known?.record.held && known.record.job.lease === job.lease) {
      await this.#deliver(known);
      return;
    }
    const reusable = known && this.#socket && canReusePictures(known.record, job, this.#socket.id);
    if (known) this.#stop(known);
    const record = { requestId: job.requestId, job, home: this.#home, held: true, takenAt: Date.now() };
    const task = new Task(record, { ready: true });
    this.#tasks.set(job.requestId, task);
    this.#handlers.onChange();
    if (known && !reusable) await this.#store.deletePictures(job.requestId);
    if (this.#isCurrent(task)) await this.#store.saveJob(record);
    await this.#forgetExpired();
    this.startWaiting();
  }

  /** @param {string} requestId */
  async cancel(requestId) {
    const task = this.#tasks.get(requestId);
    if (task) await this.#forget(task);
  }

  /** The server has stored the result. @param {string} requestId */
  async confirm(requestId) {
    const task = this.#tasks.get(requestId);
    if (!task) return;
    if (task.record.held) this.#handlers.onDone();
    await this.#forget(task);
  }

  /** The lease was lost: the server assigns the request to another extension. @param {string} requestId */
  async release(requestId) {
    const task = this.#tasks.get(requestId);
    if (task) await this.#release(task);
  }

  /** Whether a failure is still to be reported. It must be, before the connection is replaced. */
  get hasUnreportedFailure() {
    return this.#held.some(({ record }) => record.outcome && "failure" in record.outcome);
  }

  get #held() {
    return [...this.#tasks.values()].filter((task) => task.record.held);
  }

  /** @param {Task} task */
  async #run(task) {
    task.running = true;
    task.startedAt = Date.now();
    this.#running.add(task);
    this.#handlers.onChange();
    const outcome = await keepAlive(this.#generate(task));
    const isFinished = outcome && this.#isCurrent(task);
    // Before anything else is started: a task without an outcome would be started again.
    if (isFinished) task.record.outcome = outcome;
    this.#running.delete(task);
    task.running = false;
    this.startWaiting();
    if (isFinished) {
      this.#handlers.onChange();
      await this.#store.saveJob(task.record);
      await this.#deliver(task);
    }
  }

  /** The outcome, or undefined if the task was stopped. @param {Task} task  @returns {Promise<Outcome | undefined>} */
  async #generate(task) {
    let isGenerators = false;
    try {
      const made = await generatePictures(task.record, this.#handlers.providers(), this.#store, {
        signal: task.signal,
        onEnd: (entry, failure) => {
          isGenerators = failure !== undefined;
          this.#handlers.onPictureEnd(entry, failure);
        },
        progress: (percent, message) => this.#reportProgress(task, percent, message),
        preview: (preview) => this.#sendPreview(task, preview),
      });
      return { made };
    } catch (problem) {
      if (task.signal.aborted) return undefined;
      const failure = Failure.from(problem);
      return { failure: isGenerators ? withoutPause(failure) : failure.fields };
    }
  }

  /** @param {Task} task @param {number} percent @param {string} message */
  #reportProgress(task, percent, message) {
    if (!this.#isCurrent(task) || !task.updateProgress(percent, message)) return;
    this.#socket?.send(progress(task.record.job, task.percent, task.message));
    this.#handlers.onChange();
  }

  /** @param {Task} task @param {import("./previews.js").Preview} preview */
  #sendPreview(task, preview) {
    if (!this.#isCurrent(task)) return;
    this.#socket?.send(progress(task.record.job, task.percent, task.message, preview));
  }

  /** Report the outcome, if there is one and a connection; otherwise after the next connection. @param {Task} task */
  async #deliver(task) {
    const socket = this.#socket;
    if (!socket || !task.record.outcome || task.delivering) return;
    task.delivering = true;
    const signal = AbortSignal.any([task.signal, this.#disconnection.signal]);
    try {
      const { message, failure } = await keepAlive(this.#buildReport(task, task.record.outcome, signal));
      if (this.#isCurrent(task) && socket.send(message)) await this.#reported(task, socket, failure);
    } catch (problem) {
      if (!signal.aborted) throw problem;
    } finally {
      task.delivering = false;
      if (this.#socket !== socket && this.#isCurrent(task)) void this.#deliver(task);
    }
  }

  /** @param {Task} task @param {Outcome} outcome @param {AbortSignal} signal */
  async #buildReport({ record: { job } }, outcome, signal) {
    if ("failure" in outcome) return { message: failed(job, outcome.failure), failure: outcome.failure };
    try {
      const urls = await uploadPictures(job, this.#store, signal);
      return { message: generated(job, urls, outcome.made) };
    } catch (problem) {
      signal.throwIfAborted();
      const failure = Failure.from(problem).fields;
      return { message: failed(job, failure), failure };
    }
  }

  /**
   * The server confirms pictures but not failures, so a reported failure is finished.
   *
   * @param {Task} task
   * @param {ServerSocket} socket
   * @param {Record<string, unknown>} [failure]
   */
  async #reported(task, socket, failure) {
    if (failure) {
      this.#handlers.onFailed(task.record.job.model, String(failure.reason ?? failure.error));
      await this.#release(task);
    } else {
      task.record.sentOver = socket.id;
      this.#handlers.onChange();
      await this.#store.saveJob(task.record);
    }
  }

  /** Stop, but keep the pictures for some time: the server may assign the request again. @param {Task} task */
  async #release(task) {
    this.#stop(task);
    task.record.held = false;
    this.#handlers.onChange();
    await this.#store.saveJob(task.record);
  }

  /** @param {Task} task */
  async #forget(task) {
    this.#stop(task);
    this.#tasks.delete(task.requestId);
    this.#handlers.onChange();
    await this.#store.deleteJob(task.requestId);
  }

  /** Stop the work for a task, also that which an earlier worker began. @param {Task} task */
  #stop(task) {
    const { record, running, signal } = task;
    if (!running && !signal.aborted && record.begun !== undefined && !record.outcome) {
      void keepAlive(abandonPicture(record, this.#handlers.providers()));
    }
    task.stop();
  }

  async #forgetExpired() {
    const tasks = [...this.#tasks.values()];
    const records = expired(tasks.map((task) => task.record), this.#home, Date.now());
    await Promise.all(tasks.filter((task) => records.includes(task.record)).map((task) => this.#forget(task)));
  }

  /** Whether the task is held and was not replaced by a newer one of the same request. @param {Task} task */
  #isCurrent(task) {
    return this.#tasks.get(task.requestId) === task && task.record.held;
  }
}

/**
 * The pause after a failure belongs to the generator and is kept here, so the server is told to pause nothing. A
 * failure that is the request's own fault says nothing about pauses.
 *
 * @param {Failure} failure
 */
function withoutPause({ fields }) {
  return { ...fields, retryAfterMs: fields.retryable ? 0 : undefined };
}
