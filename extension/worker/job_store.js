/** Stores jobs and finished pictures in IndexedDB, so that they survive restarts of the worker and the browser. */

/** @typedef {import("./records.js").JobRecord} JobRecord */
/** @typedef {import("./records.js").PictureRecord} PictureRecord */

const DATABASE = "imagefleet";
const JOBS = "jobs";
const PICTURES = "pictures";

/** Writing or deleting a job never rejects: without a disk, the job continues for as long as the worker runs. */
export class JobStore {
  /** @type {Promise<IDBDatabase> | undefined} */
  #database;

  /** All stored jobs; none if the database cannot be read. @returns {Promise<JobRecord[]>} */
  async jobs() {
    return this.#transact(JOBS, "readonly", (store) => store.getAll()).catch(() => []);
  }

  /** @param {JobRecord} record */
  async saveJob(record) {
    await this.#transact(JOBS, "readwrite", (store) => store.put(record)).catch(() => undefined);
  }

  /**
   * Store that a generator is about to be asked for this picture. Rejects if that cannot be stored: a later worker
   * could then ask, and pay, a second time.
   *
   * @param {JobRecord} record
   * @param {number} position
   */
  async markBegun(record, position) {
    await this.#transact(JOBS, "readwrite", (store) => store.put({ ...record, begun: position }));
    Object.assign(record, { begun: position });
  }

  /** The pictures of a request, in order. @param {string} requestId  @returns {Promise<PictureRecord[]>} */
  async pictures(requestId) {
    return this.#transact(PICTURES, "readonly", (store) => store.getAll(pictureKeys(requestId)));
  }

  /** @param {PictureRecord} picture */
  async savePicture(picture) {
    await this.#transact(PICTURES, "readwrite", (store) => store.put(picture));
  }

  /** @param {string} requestId */
  async deletePictures(requestId) {
    await this.#transact(PICTURES, "readwrite", (store) => store.delete(pictureKeys(requestId))).catch(() => undefined);
  }

  /** Delete a job and its pictures. @param {string} requestId */
  async deleteJob(requestId) {
    await this.#transact(JOBS, "readwrite", (store) => store.delete(requestId)).catch(() => undefined);
    await this.deletePictures(requestId);
  }

  /** Delete the pictures of all other requests. @param {Iterable<string>} knownRequestIds */
  async deleteOrphans(knownRequestIds) {
    const keys = await this.#transact(PICTURES, "readonly", (store) => store.getAllKeys()).catch(() => []);
    const owners = new Set(keys.map((key) => /** @type {[string, number]} */ (key)[0]));
    for (const requestId of knownRequestIds) owners.delete(requestId);
    for (const requestId of owners) await this.deletePictures(requestId);
  }

  #open() {
    this.#database ??= openDatabase().catch((problem) => {
      this.#database = undefined;
      throw problem;
    });
    return this.#database;
  }

  /**
   * Run one transaction on one object store. The result is returned once the transaction is durable.
   *
   * @template T
   * @param {string} name
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => IDBRequest<T>} operation
   * @returns {Promise<T>}
   */
  async #transact(name, mode, operation) {
    const transaction = (await this.#open()).transaction(name, mode, { durability: "strict" });
    const request = operation(transaction.objectStore(name));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  }
}

/** @param {string} requestId */
function pictureKeys(requestId) {
  return IDBKeyRange.bound([requestId, 0], [requestId, Infinity]);
}

/** @returns {Promise<IDBDatabase>} */
function openDatabase() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(JOBS, { keyPath: "requestId" });
      request.result.createObjectStore(PICTURES, { keyPath: ["requestId", "position"] });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
