/** Converts what ComfyUI reports about nodes to the progress of a picture. */

const MAX_PERCENT = 95;
const MAX_WITHOUT_STEPS = 0.5;

/** @typedef {import("../shared/types.js").GenerationContext} GenerationContext */
/** @typedef {import("./comfyui_socket.js").Message} Message */
/** @typedef {import("./comfyui_workflow.js").Workflow} Workflow */

/**
 * Progress never decreases. Nodes that report steps, such as samplers, take most of the time, so their fraction counts.
 * Many nodes report none; there the part of the nodes that are finished counts, up to a half.
 *
 * @param {Workflow} workflow
 * @param {GenerationContext["progress"]} progress
 */
export function progressReporter(workflow, progress) {
  let highest = 0;
  let message = "Generating";
  let current = "";
  /** The nodes that are run, and not taken from the cache. */
  const remaining = new Set(Object.keys(workflow));
  const finished = new Set();

  const report = () => progress(Math.floor(MAX_PERCENT * highest), message);

  /** @param {string} node */
  const begin = (node) => {
    if (current && current !== node) finished.add(current);
    current = node;
    message = `Running ${workflow[node].class_type}`;
  };

  return {
    /** @param {Message} received */
    onMessage: ({ type, data }) => {
      if (type === "execution_cached") for (const node of data.nodes ?? []) remaining.delete(node);
      // Nodes that others expand to while they run are not in the workflow; they name the one that is.
      const node = [data.display_node, data.node].find((each) => typeof each === "string" && workflow[each]);
      if (node) begin(node);
      const done = [...finished].filter((each) => remaining.has(each)).length / Math.max(1, remaining.size);
      highest = Math.max(highest, MAX_WITHOUT_STEPS * done, fractionOf(type, data));
      report();
    },
    /** @param {number} position  in the queue; 0 means that it is running */
    onPosition: (position) => {
      if (position > 0) progress(0, `Waiting: queue position ${position}`);
      else report();
    },
  };
}

/**
 * A node with a single step reports only that it has ended.
 *
 * @param {string} type
 * @param {Record<string, any>} data
 */
function fractionOf(type, { value, max }) {
  return type === "progress" && max > 1 ? Math.min(1, Math.max(0, value / max)) : 0;
}
