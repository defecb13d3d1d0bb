/** Reads the events of an images API: partial images while a picture is made, then the picture, or an error. */

import { isObject } from "./validation.js";

const BLANK_LINE = /\r?\n\r?\n/;

/** @typedef {Record<string, any> & {type: string}} ImageEvent */

/**
 * Call `onEvent` for each event as soon as it is complete.
 *
 * @param {(event: ImageEvent) => void} onEvent
 * @returns {(chunk: Uint8Array) => void}  takes the bytes of the response as they arrive
 */
export function eventReader(onEvent) {
  const decoder = new TextDecoder();
  let text = "";
  return (chunk) => {
    text += decoder.decode(chunk, { stream: true });
    // A picture arrives in many chunks; only the last one can end an event.
    if (!BLANK_LINE.test(text.slice(-chunk.byteLength - 4))) return;
    const blocks = text.split(BLANK_LINE);
    text = blocks.pop() ?? "";
    for (const event of blocks.map(parseEvent)) if (event) onEvent(event);
  };
}

/** All events of a complete response. @param {Uint8Array<ArrayBuffer>} bytes @returns {ImageEvent[]} */
export function eventsIn(bytes) {
  const blocks = new TextDecoder().decode(bytes).split(BLANK_LINE);
  return blocks.map(parseEvent).filter((event) => event !== undefined);
}

/** @type {(block: string) => ImageEvent | undefined} */
function parseEvent(block) {
  const data = block.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
  try {
    const event = JSON.parse(data);
    return isObject(event) && typeof event.type === "string" ? /** @type {any} */ (event) : undefined;
  } catch {
    return undefined;
  }
}
