/** The models of a provider, as a line of text. */

/** @param {string} text  names with commas or line ends between @returns {string[]} */
export function readModels(text) {
  return [...new Set(text.split(/[,\n]/).map((name) => name.trim()).filter(Boolean))];
}

/** @param {string[]} models */
export function modelsText(models) {
  return models.join(", ");
}

/** @param {string} model */
export function modelWords(model) {
  return model === "*" ? "* every other model" : model;
}
