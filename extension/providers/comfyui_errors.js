/** Translates ComfyUI's errors into Failures. The message types are those of its server.py and execution.py. */

import { Failure } from "../shared/failures.js";
import { failureFromResponse, NEEDS_USER_MS } from "./http_failures.js";
import { shorten } from "./text.js";

/** @typedef {import("./comfyui_workflow.js").Workflow} Workflow */
/** @typedef {{message?: string, details?: string, extra_info?: {input_name?: string}}} InputError */
/** @typedef {Record<string, {class_type?: string, errors?: InputError[]}>} NodeErrors  by node id */

/** Placeholders whose values come from the request, not from the settings. */
const FROM_REQUEST = /%(prompt|negative|width|height|seed|model)%/;

/**
 * ComfyUI did not accept the workflow, or not all of it. If only values of the request are to blame, no retry helps;
 * otherwise the user has to change the workflow or install what it needs.
 *
 * @param {any} body  of the response
 * @param {Workflow} template  the workflow with its placeholders
 * @returns {Failure}
 */
export function rejectedWorkflow(body, template) {
  const nodes = /** @type {NodeErrors} */ (body?.node_errors ?? {});
  const errors = Object.entries(nodes).flatMap(([id, { errors: own = [] }]) => own.map((error) => ({ id, error })));
  if (errors.length > 0 && errors.every(({ id, error }) => isFromRequest(template[id], error))) {
    const reason = shorten(`ComfyUI does not accept ${errors.map(({ error }) => describe(error)).join("; ")}.`);
    return new Failure("Invalid parameters", { reason, retryable: false });
  }
  const details = [messageOf(body?.error), errors[0] && describeSetup(nodes[errors[0].id], errors[0].error)];
  const reason = shorten(`ComfyUI rejected the workflow: ${details.filter(Boolean).join("; ")}`);
  return new Failure("The workflow is not set up correctly", { reason, retryAfterMs: NEEDS_USER_MS });
}

/** @type {(node: NodeErrors[string], error: InputError) => string} */
function describeSetup({ class_type: kind }, { message, details }) {
  return [kind, message, details].filter(Boolean).join("; ");
}

/** Older versions send only a text. @param {any} error */
function messageOf(error) {
  return typeof error === "string" ? error : error?.message;
}

/** @type {(node: Workflow[string] | undefined, error: InputError) => boolean} */
function isFromRequest(node, { extra_info: { input_name: input } = {} }) {
  const value = input === undefined ? undefined : node?.inputs[input];
  return typeof value === "string" && FROM_REQUEST.test(value);
}

/** @param {InputError} error */
function describe({ message, extra_info: { input_name: input } = {} }) {
  return `${input}: ${message}`;
}

/**
 * A workflow that ended without success.
 *
 * @param {[string, any][]} messages  of its history entry
 * @returns {Failure}
 */
export function executionFailure(messages) {
  const error = messages.find(([type]) => type === "execution_error")?.[1];
  if (!error) return new Failure("The job was interrupted", { reason: "The workflow was interrupted in ComfyUI." });
  const reason = shorten(`${error.node_type ?? "A node"}: ${error.exception_message ?? error.exception_type}`);
  return new Failure("The generator failed", { reason });
}

/** @type {(response: import("./http.js").HttpResponse) => Failure} */
export function failureFrom(response) {
  if (response.status !== 403) return failureFromResponse(response);
  const reason = `${response.host} rejects requests from other origins than its own page (403). `
    + "Start ComfyUI with --enable-cors-header, or enable \"Hide the extension's origin\" in the settings.";
  return new Failure("Access denied by the generator", { reason, retryAfterMs: NEEDS_USER_MS });
}
