/** Requests and finished pictures on disk: they outlive the worker and the browser. */

/** @typedef {import("./records.js").JobRecord} JobRecord */
/** @typedef {import("./records.js").PictureRecord} PictureRecord */

const NAME = "imagefleet";
const JOBS = "jobs";
const PICTURES = "pictures";

export class Ledger {
  /** @type {Promise<IDBDatabase> | undefined} */
  #database;

  /** Nothing where the disk cannot be read: then work begins afresh. @returns {Promise<JobRecord[]>} */
  async jobs() {
    return this.#do(JOBS, "readonly", (store) => store.getAll()).catch(() => []);
  }

  /** What cannot be written is not lost while the worker lives: it goes on. @param {JobRecord} record */
  async keepJob(record) {
    await this.#do(JOBS, "readwrite", (store) => store.put(record)).catch(() => undefined);
  }

  /** The pictures of a request, in order. @param {string} requestId  @returns {Promise<PictureRecord[]>} */
  async pictures(requestId) {
    return this.#do(PICTURES, "readonly", (store) => store.getAll(allOf(requestId)));
  }

  /** @param {PictureRecord} picture */
  async keepPicture(picture) {
    await this.#do(PICTURES, "readwrite", (store) => store.put(picture));
  }

  /** @param {string} requestId */
  async dropPictures(requestId) {
    await this.#do(PICTURES, "readwrite", (store) => store.delete(allOf(requestId))).catch(() => undefined);
  }

  /** Forget a request with all that belongs to it. @param {string} requestId */
  async drop(requestId) {
    await this.#do(JOBS, "readwrite", (store) => store.delete(requestId)).catch(() => undefined);
    await this.dropPictures(requestId);
  }

  /** Forget pictures of requests that nothing else is known of. @param {Iterable<string>} known */
  async dropOrphans(known) {
    const keys = await this.#do(PICTURES, "readonly", (store) => store.getAllKeys()).catch(() => []);
    const owners = new Set(keys.map((key) => /** @type {[string, number]} */ (key)[0]));
    for (const requestId of known) owners.delete(requestId);
    for (const requestId of owners) await this.dropPictures(requestId);
  }

  #open() {
    this.#database ??= open().catch((problem) => {
      this.#database = undefined;
      throw problem;
    });
    return this.#database;
  }

  /**
   * One transaction on one store; what it gives is given once it is safely written.
   *
   * @template T
   * @param {string} name
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => IDBRequest<T>} act
   * @returns {Promise<T>}
   */
  async #do(name, mode, act) {
    const transaction = (await this.#open()).transaction(name, mode, { durability: "strict" });
    const request = act(transaction.objectStore(name));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  }
}

/** @param {string} requestId */
function allOf(requestId) {
  return IDBKeyRange.bound([requestId, 0], [requestId, Infinity]);
}

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(JOBS, { keyPath: "requestId" });
      request.result.createObjectStore(PICTURES, { keyPath: ["requestId", "position"] });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
