/** The requests in hand: worked on, kept over restarts, their results told until the server confirms them. */

import { stayAwake } from "./awake.js";
import { Failure } from "./failures.js";
import { makePictures } from "./maker.js";
import { failed, generated, progress } from "./protocol.js";
import { canReuse, outdated } from "./records.js";
import { Task } from "./task.js";
import { handOver } from "./upload.js";

/** @typedef {import("../shared/types.js").Job} Job */
/** @typedef {import("../shared/types.js").Settings} Settings */
/** @typedef {import("./ledger.js").Ledger} Ledger */
/** @typedef {import("./link.js").Link} Link */
/** @typedef {import("./records.js").Outcome} Outcome */

/**
 * @typedef {object} DeskEvents
 * @property {() => Settings} settings
 * @property {() => void} changed  something that the user may see is different
 * @property {(what: "done" | "failed") => void} count
 * @property {(model: string, reason: string) => void} failed  nothing came of a job, and the server knows
 */

export class Desk {
  #ledger;
  #events;
  #home = "";
  /** @type {Map<string, Task>} */
  #tasks = new Map();
  /** @type {Set<Task>} */
  #running = new Set();
  /** @type {Link | undefined} */
  #link;
  #offline = new AbortController();

  /** @param {Ledger} ledger @param {DeskEvents} events */
  constructor(ledger, events) {
    this.#ledger = ledger;
    this.#events = events;
  }

  /** Take up what a worker before this one left. Nothing is done until the server says what is still wanted. */
  async open(/** @type {string} */ home) {
    for (const record of await this.#ledger.jobs()) {
      this.#tasks.set(record.requestId, new Task(record, { ready: false }));
    }
    await this.move(home);
    await this.#ledger.dropOrphans(this.#tasks.keys());
  }

  /** From now on work is done for this server alone. @param {string} home */
  async move(home) {
    this.#home = home;
    await this.#tidy();
  }

  /** The requests that the server counts on us for. */
  get ids() {
    return this.#held.map((task) => task.requestId);
  }

  get load() {
    const unfinished = this.#held.filter((task) => !task.record.outcome).length;
    const active = Math.min(this.#running.size, unfinished);
    return { active, waiting: unfinished - active, requestIds: this.ids };
  }

  get shown() {
    return this.#held.filter((task) => !task.record.sentOver).map((task) => task.shown);
  }

  /** How many results are not confirmed. */
  get unsent() {
    return this.#held.filter((task) => task.record.outcome).length;
  }

  /**
   * There is a connection. Go on with what is still ours, and tell what was finished meanwhile.
   *
   * @param {Link} link
   * @param {string[] | undefined} stillHeld  all, where the server does not say
   */
  welcome(link, stillHeld) {
    this.#link = link;
    this.#offline = new AbortController();
    for (const task of this.#held) {
      if (stillHeld && !stillHeld.includes(task.requestId)) void this.#letGo(task);
    }
    for (const task of this.#held) {
      task.ready = true;
      void this.#deliver(task);
    }
    this.#pump();
    this.#events.changed();
  }

  /** The connection is gone; work goes on. */
  hangUp() {
    this.#link = undefined;
    this.#offline.abort();
  }

  /** Nothing here is ours any more. */
  async letGoOfAll() {
    await Promise.all(this.#held.map((task) => this.#letGo(task)));
  }

  /** More may be done at once than before. */
  settingsChanged() {
    this.#pump();
  }

  /** @param {Job} job */
  async take(job) {
    const known = this.#tasks.get(job.requestId);
    if (known?.record.held && known.record.job.lease === job.lease) {
      await this.#deliver(known);
      return;
    }
    const reusable = known && this.#link && canReuse(known.record, job, this.#link.id);
    known?.stop();
    const record = { requestId: job.requestId, job, home: this.#home, held: true, takenAt: Date.now() };
    const task = new Task(record, { ready: true });
    this.#tasks.set(job.requestId, task);
    this.#events.changed();
    if (known && !reusable) await this.#ledger.dropPictures(job.requestId);
    if (this.#has(task)) await this.#ledger.keepJob(record);
    await this.#tidy();
    this.#pump();
  }

  /** Forget a request that the server does not want any more. @param {string} requestId */
  async cancel(requestId) {
    const task = this.#tasks.get(requestId);
    if (task) await this.#forget(task);
  }

  /** Its result is stored at the server. @param {string} requestId */
  async confirm(requestId) {
    const task = this.#tasks.get(requestId);
    if (!task) return;
    if (task.record.held) this.#events.count("done");
    await this.#forget(task);
  }

  /** The server gave it to somebody else, or will. @param {string} requestId */
  async lose(requestId) {
    const task = this.#tasks.get(requestId);
    if (task) await this.#letGo(task);
  }

  get #held() {
    return [...this.#tasks.values()].filter((task) => task.record.held);
  }

  #pump() {
    for (const task of this.#tasks.values()) {
      if (this.#running.size >= this.#events.settings().concurrency) return;
      if (task.isWaiting) void this.#work(task);
    }
  }

  /** @param {Task} task */
  async #work(task) {
    task.running = true;
    task.startedAt = Date.now();
    this.#running.add(task);
    this.#events.changed();
    const outcome = await stayAwake(this.#outcomeOf(task));
    this.#running.delete(task);
    task.running = false;
    this.#pump();
    if (outcome && this.#has(task)) {
      task.record.outcome = outcome;
      this.#events.changed();
      await this.#ledger.keepJob(task.record);
      await this.#deliver(task);
    }
  }

  /** What came of the work, unless it was stopped. @param {Task} task  @returns {Promise<Outcome | undefined>} */
  async #outcomeOf(task) {
    try {
      const made = await makePictures(task.record.job, this.#events.settings().providers, this.#ledger, {
        signal: task.signal,
        progress: (percent, words) => this.#progress(task, percent, words),
      });
      return { made };
    } catch (problem) {
      return task.signal.aborted ? undefined : { failure: Failure.from(problem).fields };
    }
  }

  /** @param {Task} task @param {number} percent @param {string} words */
  #progress(task, percent, words) {
    if (!this.#has(task) || !task.note(percent, words)) return;
    this.#link?.send(progress(task.record.job, task.percent, task.words));
    this.#events.changed();
  }

  /** Tell the result, if there is one and somebody to tell; else it is told when there is. @param {Task} task */
  async #deliver(task) {
    const link = this.#link;
    if (!link || !task.record.outcome || task.delivering) return;
    task.delivering = true;
    const signal = AbortSignal.any([task.signal, this.#offline.signal]);
    try {
      const { message, failure } = await stayAwake(this.#report(task, task.record.outcome, signal));
      if (this.#has(task) && link.send(message)) await this.#told(task, link, failure);
    } catch (problem) {
      if (!signal.aborted) throw problem;
    } finally {
      task.delivering = false;
      if (this.#link !== link && this.#has(task)) void this.#deliver(task);
    }
  }

  /** @param {Task} task @param {Outcome} outcome @param {AbortSignal} signal */
  async #report({ record: { job } }, outcome, signal) {
    if ("failure" in outcome) return { message: failed(job, outcome.failure), failure: outcome.failure };
    try {
      const urls = await handOver(job, this.#ledger, signal);
      return { message: generated(job, urls, outcome.made) };
    } catch (problem) {
      signal.throwIfAborted();
      const failure = Failure.from(problem).fields;
      return { message: failed(job, failure), failure };
    }
  }

  /**
   * Failures are not confirmed: told is done.
   *
   * @param {Task} task
   * @param {Link} link
   * @param {Record<string, unknown>} [failure]
   */
  async #told(task, link, failure) {
    if (failure) {
      this.#events.count("failed");
      this.#events.failed(task.record.job.model, String(failure.reason ?? failure.error));
      await this.#letGo(task);
    } else {
      task.record.sentOver = link.id;
      this.#events.changed();
      await this.#ledger.keepJob(task.record);
    }
  }

  /** Stop, but keep the pictures for a while: the request may come back. @param {Task} task */
  async #letGo(task) {
    task.stop();
    task.record.held = false;
    this.#events.changed();
    await this.#ledger.keepJob(task.record);
  }

  /** @param {Task} task */
  async #forget(task) {
    task.stop();
    this.#tasks.delete(task.requestId);
    this.#events.changed();
    await this.#ledger.drop(task.requestId);
  }

  async #tidy() {
    const tasks = [...this.#tasks.values()];
    const gone = outdated(tasks.map((task) => task.record), this.#home, Date.now());
    await Promise.all(tasks.filter((task) => gone.includes(task.record)).map((task) => this.#forget(task)));
  }

  /** Whether it is still this very task that is wanted. @param {Task} task */
  #has(task) {
    return this.#tasks.get(task.requestId) === task && task.record.held;
  }
}
