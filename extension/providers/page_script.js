/**
 * The function that is injected into a page. It performs at most one action, checks the page once, and returns; the
 * extension calls it repeatedly. So it does not depend on timers, which browsers slow down in background tabs, and
 * survives navigation. It cannot use anything outside of the function.
 */

/**
 * @typedef {import("./page_recipe.js").Step} Step
 * @typedef {import("./page_recipe.js").Picture} Picture
 * @typedef {import("./page_recipe.js").StateMatcher} StateMatcher
 */
/**
 * @typedef {object} PageCommand
 * @property {Step} [step]
 * @property {Picture} [picture]
 * @property {[string, StateMatcher][]} matchers  with the names of their states
 * @property {string} [progress]  selector
 * @property {number} maxBytes  of a picture
 */
/**
 * @typedef {object} PageResult
 * @property {boolean} done
 * @property {string} [problem]  why it is not done
 * @property {boolean} [isFinal]  whether repeating the command is useless
 * @property {{name: string, text: string, index: number}} [state]  the page's state, if one matched
 * @property {number} [percent]
 * @property {string} [data]  the picture as a data: URL
 * @property {string} [url]  the picture's address, if the extension must download it
 */

/**
 * @param {PageCommand} command
 * @returns {Promise<PageResult>}
 */
export async function runInPage({ step, picture, matchers, progress, maxBytes }) {
  /** @type {(selector: string) => Element | null} */
  const find = (selector) => document.querySelector(selector);

  /** @param {Element | null} element @returns {element is Element} */
  const isVisible = (element) => Boolean(element?.checkVisibility({ visibilityProperty: true }));

  /** @type {(element: Element | null) => string} */
  const textOf = (element) => (element instanceof HTMLElement ? element.innerText : element?.textContent) ?? "";

  /** @type {(text: string, selector?: string) => boolean} */
  const showsText = (text, selector) => {
    const element = selector ? find(selector) : document.body;
    return isVisible(element) && textOf(element).toLowerCase().includes(text.toLowerCase());
  };

  /** @type {(matcher: StateMatcher) => boolean} */
  const matches = ({ selector, text }) => (text ? showsText(text, selector) : isVisible(find(selector ?? "")));

  const currentState = () => {
    const index = matchers.findIndex(([, matcher]) => matches(matcher));
    if (index < 0) return undefined;
    const [name, { selector, text }] = matchers[index];
    return { name, index, text: selector ? textOf(find(selector)).slice(0, 500) : text ?? "" };
  };

  const currentPercent = () => {
    const element = progress ? find(progress) : null;
    if (!isVisible(element)) return undefined;
    if (element instanceof HTMLProgressElement) return 100 * element.position;
    const value = element.getAttribute("aria-valuenow");
    return value ? Number(value) : Number(/(\d+(?:\.\d+)?)\s*%/.exec(textOf(element))?.[1] ?? NaN);
  };

  /** @type {(element: Element, type: string) => void} */
  const dispatch = (element, type) => {
    element.dispatchEvent(new Event(type, { bubbles: true }));
  };

  /**
   * Uses the browser's own setter: some frameworks replace the element's setter and then ignore the change.
   *
   * @type {(element: Element, value: string) => void}
   */
  const setValue = (element, value) => {
    const { set } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(element), "value") ?? {};
    set?.call(element, value);
  };

  /** @type {(selector: string) => HTMLElement | string}  the element, or why it cannot be used */
  const findUsable = (selector) => {
    const element = find(selector);
    if (!(element instanceof HTMLElement)) return "the element does not exist";
    if (!isVisible(element)) return "the element is not visible";
    return element.matches(":disabled, [aria-disabled=true]") ? "the element is disabled" : element;
  };

  /** @type {(element: HTMLElement, value: string) => string | undefined} */
  const fill = (element, value) => {
    element.focus();
    if (element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement) setValue(element, value);
    else if (element.isContentEditable) element.textContent = value;
    else return "the element is not editable";
    element.dispatchEvent(new InputEvent("input", { bubbles: true, data: value, inputType: "insertText" }));
    dispatch(element, "change");
    return undefined;
  };

  /** @type {(element: HTMLElement, wanted: string) => string | undefined} */
  const choose = (element, wanted) => {
    if (!(element instanceof HTMLSelectElement)) return "the element is not a list";
    const option = [...element.options].find(({ value, label }) => value === wanted || label.trim() === wanted);
    if (!option) return `the list has no option "${wanted}"`;
    setValue(element, option.value);
    dispatch(element, "input");
    dispatch(element, "change");
    return undefined;
  };

  /** @type {(element: HTMLElement) => undefined} */
  const click = (element) => {
    element.click();
    return undefined;
  };

  /**
   * Synthetic key events have no default action, so Enter submits the form here.
   *
   * @type {(element: HTMLElement, key: string) => undefined}
   */
  const press = (element, key) => {
    element.focus();
    const init = { key, code: key, bubbles: true, cancelable: true };
    const isAllowed = element.dispatchEvent(new KeyboardEvent("keydown", init));
    element.dispatchEvent(new KeyboardEvent("keyup", init));
    const form = element.closest("form");
    if (isAllowed && key === "Enter" && form && !(element instanceof HTMLTextAreaElement)) form.requestSubmit();
    return undefined;
  };

  /** @type {(selector: string, action: (element: HTMLElement) => string | undefined) => PageResult} */
  const actOn = (selector, action) => {
    const element = findUsable(selector);
    const problem = typeof element === "string" ? element : action(element);
    return { done: problem === undefined, problem };
  };

  /** @type {(step: Step) => PageResult} */
  const runStep = (each) => {
    if (each.fill !== undefined) return actOn(each.fill, (element) => fill(element, String(each.with)));
    if (each.choose !== undefined) return actOn(each.choose, (element) => choose(element, String(each.option)));
    if (each.click !== undefined) return actOn(each.click, click);
    if (each.press !== undefined) return actOn(each.in ?? "body", (element) => press(element, String(each.press)));
    if (each.wait !== undefined) return { done: isVisible(find(each.wait)), problem: "the element does not appear" };
    if (each.gone !== undefined) return { done: !isVisible(find(each.gone)), problem: "the element remains visible" };
    return { done: showsText(String(each.text), each.in), problem: "the text does not appear" };
  };

  /** @type {(image: HTMLImageElement) => string} */
  const copyPixels = (image) => {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: image.naturalWidth, height: image.naturalHeight });
    canvas.getContext("2d")?.drawImage(image, 0, 0);
    return canvas.toDataURL("image/png");
  };

  /** @type {(blob: Blob) => Promise<PageResult>} */
  const encode = async (blob) => {
    if (blob.size > maxBytes) {
      return { done: false, isFinal: true, problem: `the picture has more than ${maxBytes} bytes` };
    }
    const reader = new FileReader();
    await new Promise((resolve) => {
      reader.onloadend = resolve;
      reader.readAsDataURL(blob);
    });
    return { done: true, data: String(reader.result) };
  };

  /**
   * Addresses of the page's own origin are read here, with the user's cookies; the extension downloads all others.
   *
   * @type {(address: string, image?: HTMLImageElement) => Promise<PageResult>}
   */
  const download = async (address, image) => {
    const url = new URL(address, document.baseURI);
    if (/^https?:$/.test(url.protocol) && url.origin !== location.origin) return { done: true, url: url.href };
    try {
      const response = await fetch(url);
      if (response.ok) return await encode(await response.blob());
      return { done: false, problem: `the picture's address returned status ${response.status}` };
    } catch (problem) {
      // The address may no longer exist, such as a revoked blob: URL. A visible picture can still be copied.
      return image ? { done: true, data: copyPixels(image) } : { done: false, problem: String(problem) };
    }
  };

  const notYet = { done: false, problem: "the element has no picture yet, or is of another kind than in the recipe" };

  /** @type {Record<string, (element: Element) => Promise<PageResult>>} */
  const readers = {
    img: async (element) => {
      if (!(element instanceof HTMLImageElement) || !element.complete || element.naturalWidth === 0) return notYet;
      return download(element.currentSrc || element.src, element);
    },
    canvas: async (element) =>
      (element instanceof HTMLCanvasElement ? { done: true, data: element.toDataURL("image/png") } : notYet),
    link: async (element) =>
      (element instanceof HTMLAnchorElement && element.href ? download(element.href) : notYet),
    background: async (element) => {
      const address = /url\("?([^")]+)"?\)/.exec(getComputedStyle(element).backgroundImage)?.[1];
      return address ? download(address) : notYet;
    },
  };

  /** @type {(source: Picture) => Promise<PageResult>} */
  const readPicture = async (source) => {
    const [[kind, selector]] = Object.entries(source);
    const element = find(String(selector));
    return isVisible(element) ? readers[kind](element) : { done: false, problem: "the element is not visible" };
  };

  try {
    const state = currentState();
    if (state) return { done: false, state };
    const result = step ? runStep(step) : await readPicture(/** @type {Picture} */ (picture));
    return { ...result, percent: currentPercent() };
  } catch (problem) {
    return { done: false, isFinal: true, problem: String(problem) };
  }
}
