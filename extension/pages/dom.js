/** Creates and finds elements. Strings become text nodes and are never parsed as markup. */

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * Create an element. Names that are properties of the element are set as properties, all others as attributes;
 * undefined values are skipped.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (name in element) Object.assign(element, { [name]: value });
    else element.setAttribute(name, String(value));
  }
  element.append(...present(children));
  return element;
}

/**
 * The element with this id. Throws TypeError if it does not exist or is of another class.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new TypeError(`The page has no ${kind.name} #${id}`);
  return element;
}

/** Replace an element's children. @param {Element} element @param {...Child} children */
export function setChildren(element, ...children) {
  element.replaceChildren(...present(children));
}

/**
 * Set an element's text if it differs, so that screen readers announce it only once.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text, tone = "") {
  if (element.textContent !== text) element.textContent = text;
  if (tone) element.setAttribute("data-tone", tone);
  else element.removeAttribute("data-tone");
}

const SVG = "http://www.w3.org/2000/svg";

/** A decorative line icon. @param {string} path */
export function icon(path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/** @param {Child[]} children @returns {(Node | string)[]} */
function present(children) {
  return children.filter((child) => child !== null && child !== undefined && child !== false);
}
