/** Sends previews of one picture while it is made: as many as the server wants, spread over the progress, and small. */

import { dataUrl } from "../shared/data_url.js";
import { toPreview } from "./preview_picture.js";

/** The server takes one a second. */
const INTERVAL_MS = 1100;

/** @typedef {import("../shared/types.js").PreviewSource} PreviewSource */
/** @typedef {{mimeType: string, data: string, position: number}} Preview */

/** @typedef {import("../shared/types.js").PreviewSink} PreviewSink */

/** @implements {PreviewSink} */
export class Previews {
  #most;
  #position;
  #send;
  #shrink;
  #now;
  #percent = 0;
  #sent = 0;
  #sentAt = -Infinity;
  #busy = false;

  /**
   * @param {{most: number, position: number}} wanted  how many, and of which picture of the job
   * @param {(preview: Preview) => void} send
   */
  constructor({ most, position }, send, { shrink = toPreview, now = Date.now } = {}) {
    this.#most = most;
    this.#position = position;
    this.#send = send;
    this.#shrink = shrink;
    this.#now = now;
  }

  /** @param {number} percent  of this picture */
  progress(percent) {
    this.#percent = Math.max(this.#percent, percent);
  }

  get isDue() {
    return !this.#busy && this.#sent < this.#most && this.#now() - this.#sentAt >= INTERVAL_MS
      && this.#percent * (this.#most + 1) >= 100 * (this.#sent + 1);
  }

  /** A preview that cannot be made is left out. @param {PreviewSource} source */
  async show(source) {
    if (!this.isDue) return;
    this.#busy = true;
    try {
      const blob = await this.#shrink(source);
      if (!blob) return;
      const data = (await dataUrl(blob)).replace(/^[^,]*,/, "");
      this.#send({ mimeType: blob.type, data, position: this.#position });
      this.#sent += 1;
      this.#sentAt = this.#now();
    } catch {
      // The picture itself is not affected.
    } finally {
      this.#busy = false;
    }
  }
}
