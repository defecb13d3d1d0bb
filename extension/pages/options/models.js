/** Converts a provider's models to and from text. */

/** @param {string} text  names separated by commas or line breaks @returns {string[]} */
export function parseModels(text) {
  return [...new Set(text.split(/[,\n]/).map((name) => name.trim()).filter(Boolean))];
}

/** @param {string[]} models */
export function formatModels(models) {
  return models.join(", ");
}

/** @param {string} model */
export function modelLabel(model) {
  return model === "*" ? "* (all other models)" : model;
}
