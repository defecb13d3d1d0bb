// A store of jobs and pictures in memory, whose contents another worker can continue with.

import { setTimeout } from "node:timers/promises";

/** A disk takes its time; what else is ready runs meanwhile. */
const WRITE_MS = 20;

/** Like JobStore. After `survivors()` every operation waits for ever, as after the end of a worker. */
export class MemoryStore {
  constructor({ jobs = [], pictures = [] } = {}) {
    this.records = new Map(jobs.map((record) => [record.requestId, record]));
    this.saved = pictures;
    this.isKilled = false;
  }

  /** What a later worker finds. Nothing that this worker still does is stored. */
  survivors() {
    this.isKilled = true;
    return { jobs: structuredClone([...this.records.values()]), pictures: [...this.saved] };
  }

  async #alive() {
    if (this.isKilled) await new Promise(() => {});
  }

  async jobs() {
    return structuredClone([...this.records.values()]);
  }

  async saveJob(record) {
    await this.#alive();
    await setTimeout(WRITE_MS);
    this.#put(record);
  }

  #put(record) {
    this.records.set(record.requestId, structuredClone(record));
  }

  async markBegun(record, position) {
    await this.#alive();
    this.#put({ ...record, begun: position });
    Object.assign(record, { begun: position });
  }

  async pictures(requestId) {
    await this.#alive();
    return this.saved.filter((each) => each.requestId === requestId).sort((a, b) => a.position - b.position);
  }

  async savePicture(picture) {
    await this.#alive();
    this.saved = [...this.saved.filter(({ requestId, position }) => {
      return requestId !== picture.requestId || position !== picture.position;
    }), picture];
  }

  async deletePictures(requestId) {
    await this.#alive();
    this.saved = this.saved.filter((each) => each.requestId !== requestId);
  }

  async deleteJob(requestId) {
    await this.#alive();
    this.records.delete(requestId);
    await this.deletePictures(requestId);
  }

  async deleteOrphans() {
    await this.#alive();
  }
}
