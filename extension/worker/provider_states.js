/** Which of the configured providers can take jobs now, and why the others cannot. */

import { capabilities } from "../providers/registry.js";
import { permissionProblem, settingsProblem } from "../providers/readiness.js";
import { ProviderPauses } from "./provider_pauses.js";

/** @typedef {import("../shared/failures.js").Failure} Failure */
/** @typedef {import("../shared/types.js").ProviderEntry} ProviderEntry */
/** @typedef {import("../shared/types.js").ProviderState} ProviderState */

export class ProviderStates {
  #pauses = new ProviderPauses();
  /** @type {ProviderEntry[]}  the enabled ones */
  #entries = [];
  /** @type {Map<string, string>}  what an entry lacks, by its id; empty if nothing */
  #problems = new Map();

  async load() {
    await this.#pauses.load();
  }

  /**
   * Take over the user's settings, and see what is missing. A permission that was given ends a pause.
   *
   * @param {ProviderEntry[]} entries
   */
  async configure(entries) {
    const enabled = entries.filter((entry) => entry.enabled);
    const problems = await Promise.all(enabled.map(problemOf));
    enabled.forEach(({ id }, index) => {
      if (this.#problems.get(id) && !problems[index]) this.#pauses.end(id);
    });
    this.#entries = enabled;
    this.#problems = new Map(enabled.map(({ id }, index) => [id, problems[index]]));
  }

  /** The entries that lack nothing. One that is paused keeps its models: another one must not make them instead. */
  get ready() {
    return this.#entries.filter(({ id }) => !this.#problems.get(id));
  }

  /** The capabilities of the entries that are ready and not paused. */
  get capabilities() {
    const now = Date.now();
    return capabilities(this.ready, (entry) => this.#pauses.of(entry, now) !== undefined);
  }

  /** When the next pause ends; undefined if there is none. @returns {number | undefined} */
  get nextEnd() {
    const ends = this.ready.flatMap((entry) => this.#pauses.of(entry, Date.now())?.until ?? []);
    return ends.length > 0 ? Math.min(...ends) : undefined;
  }

  /** What the user should know about each enabled entry that takes no jobs. @returns {ProviderState[]} */
  get states() {
    return this.#entries.flatMap((entry) => {
      const { id, name } = entry;
      const problem = this.#problems.get(id);
      if (problem) return { id, name, problem };
      const pause = this.#pauses.of(entry, Date.now());
      return pause ? { id, name, problem: pause.reason, pausedUntil: pause.until } : [];
    });
  }

  /** @param {ProviderEntry} entry @param {Failure} failure */
  failed(entry, failure) {
    this.#pauses.failed(entry, failure, Date.now());
  }

  /** @param {ProviderEntry} entry */
  succeeded({ id }) {
    this.#pauses.end(id);
  }
}

/** @param {ProviderEntry} entry */
async function problemOf(entry) {
  return settingsProblem(entry) || permissionProblem(entry);
}
