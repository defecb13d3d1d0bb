/** What is wrong with a form, said beside the fields. */

/** @typedef {Record<string, HTMLElement>} Controls  by the name of the field, in the order of the page */

/**
 * Say what is wrong beside each field, or nothing. A control with id `x` has a sentence with id `x-problem`.
 *
 * @param {HTMLElement} control  an input, or a fieldset
 * @param {string} sentence
 */
export function mark(control, sentence) {
  const place = document.getElementById(`${control.id}-problem`);
  if (place && place.textContent !== sentence) place.textContent = sentence;
  for (const input of inputs(control)) {
    if (sentence) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
}

/**
 * The same for a whole form. Whether all is well.
 *
 * @param {Controls} controls
 * @param {Record<string, string>} problems
 */
export function markAll(controls, problems) {
  for (const [name, control] of Object.entries(controls)) mark(control, problems[name] ?? "");
  return !Object.keys(controls).some((name) => problems[name]);
}

/**
 * The same for a form that was sent off: the first field that is wrong gets the focus, too.
 *
 * @param {Controls} controls
 * @param {Record<string, string>} problems
 */
export function passes(controls, problems) {
  const first = Object.keys(controls).find((name) => problems[name]);
  markAll(controls, problems);
  if (first) focusOn(inputs(controls[first])[0]);
  return first === undefined;
}

/** @param {HTMLElement} control */
function focusOn(control) {
  const folded = control.closest("details");
  if (folded) folded.open = true;
  control.focus();
}

/** @param {HTMLElement} control @returns {HTMLElement[]} */
function inputs(control) {
  return control instanceof HTMLFieldSetElement ? [...control.querySelectorAll("input")] : [control];
}

/** What went wrong, as a sentence. @param {unknown} problem */
export function sentenceOf(problem) {
  return problem instanceof Error ? problem.message : String(problem);
}
