/** Making and finding elements. Words become text nodes: nothing that somebody else wrote is read as markup. */

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An element. A property of the element is set as such, anything else is an attribute; what is undefined is left out.
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
 * The element with this id, which must be of this class.
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

/** Put these in place of what an element holds. @param {Element} element @param {...Child} children */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
}

/** Set a text where it is another, so that a live region says it once. @param {Element} element @param {string} text */
export function say(element, text, tone = "") {
  if (element.textContent !== text) element.textContent = text;
  if (tone) element.setAttribute("data-tone", tone);
  else element.removeAttribute("data-tone");
}

const SVG = "http://www.w3.org/2000/svg";

/** A small drawing of lines, for the eye alone. @param {string} path */
export function drawing(path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "drawn");
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
