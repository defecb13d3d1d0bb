/** Shows validation messages next to the fields of a form. */

/** @typedef {Record<string, HTMLElement>} Controls  by field name, in the order on the page */

/**
 * Show a message next to a control, or remove it if empty. A control with id `x` has a message with id `x-problem`.
 *
 * @param {HTMLElement} control  an input or a fieldset
 * @param {string} message
 */
export function showProblem(control, message) {
  const element = document.getElementById(`${control.id}-problem`);
  if (element && element.textContent !== message) element.textContent = message;
  for (const input of inputsOf(control)) {
    if (message) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
}

/**
 * Show the messages of a whole form. Returns whether there are none.
 *
 * @param {Controls} controls
 * @param {Record<string, string>} problems
 */
export function showProblems(controls, problems) {
  for (const [name, control] of Object.entries(controls)) showProblem(control, problems[name] ?? "");
  return !Object.keys(controls).some((name) => problems[name]);
}

/**
 * After submitting: also move the focus to the first invalid field.
 *
 * @param {Controls} controls
 * @param {Record<string, string>} problems
 */
export function reportProblems(controls, problems) {
  const first = Object.keys(controls).find((name) => problems[name]);
  showProblems(controls, problems);
  if (first) focusControl(inputsOf(controls[first])[0]);
  return first === undefined;
}

/** @param {HTMLElement} control */
function focusControl(control) {
  const details = control.closest("details");
  if (details) details.open = true;
  control.focus();
}

/** @param {HTMLElement} control @returns {HTMLElement[]} */
function inputsOf(control) {
  return control instanceof HTMLFieldSetElement ? [...control.querySelectorAll("input")] : [control];
}

/** The message of an error. @param {unknown} problem */
export function errorText(problem) {
  return problem instanceof Error ? problem.message : String(problem);
}
