/**
 * What runs inside a page: one function, put there as it stands, with what it is to do as data. It looks once and does
 * at most one thing; whoever put it there waits, and asks again. So neither the timers of a page in the background,
 * which the browser slows down, nor a change of pages can make it hang.
 */

/**
 * @typedef {import("./page_recipe.js").Step} Step
 * @typedef {import("./page_recipe.js").Picture} Picture
 * @typedef {import("./page_recipe.js").Sign} Sign
 */
/**
 * @typedef {object} Task
 * @property {Step} [step]
 * @property {Picture} [picture]
 * @property {[string, Sign][]} signs  of states, each with its state's name
 * @property {string} [progress]  selector
 * @property {number} most  bytes of a picture
 */
/**
 * @typedef {object} Seen
 * @property {boolean} done
 * @property {string} [problem]  why it is not
 * @property {boolean} [hopeless]  it will never be
 * @property {{name: string, words: string, index: number}} [state]  of the page, that ends the work
 * @property {number} [percent]
 * @property {string} [data]  the picture in base64
 * @property {string} [url]  or where it is
 */

/**
 * @param {Task} task
 * @returns {Promise<Seen>}
 */
export async function visit({ step, picture, signs, progress, most }) {
  /** @type {(selector: string) => Element | null} */
  const find = (selector) => document.querySelector(selector);

  /** @param {Element | null} element @returns {element is Element} */
  const shown = (element) => Boolean(element?.checkVisibility({ visibilityProperty: true }));

  /** @type {(element: Element | null) => string} */
  const words = (element) => (element instanceof HTMLElement ? element.innerText : element?.textContent) ?? "";

  /** @type {(text: string, selector?: string) => boolean} */
  const says = (text, selector) => {
    const element = selector ? find(selector) : document.body;
    return shown(element) && words(element).toLowerCase().includes(text.toLowerCase());
  };

  /** @type {(sign: Sign) => boolean} */
  const isThere = ({ selector, text }) => (text ? says(text, selector) : shown(find(selector ?? "")));

  const state = () => {
    const index = signs.findIndex(([, sign]) => isThere(sign));
    if (index < 0) return undefined;
    const [name, { selector, text }] = signs[index];
    return { name, index, words: selector ? words(find(selector)).slice(0, 500) : text ?? "" };
  };

  const percent = () => {
    const element = progress ? find(progress) : null;
    if (!shown(element)) return undefined;
    if (element instanceof HTMLProgressElement) return 100 * element.position;
    const now = element.getAttribute("aria-valuenow");
    return now ? Number(now) : Number(/(\d+(?:\.\d+)?)\s*%/.exec(words(element))?.[1] ?? NaN);
  };

  /** @type {(element: Element, type: string) => void} */
  const tell = (element, type) => {
    element.dispatchEvent(new Event(type, { bubbles: true }));
  };

  /**
   * By the browser's own setter: a page may have put one before it that hides what it is told.
   *
   * @type {(element: Element, value: string) => void}
   */
  const setValue = (element, value) => {
    const { set } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(element), "value") ?? {};
    set?.call(element, value);
  };

  /** @type {(selector: string) => HTMLElement | string} the element, or why it cannot be used */
  const usable = (selector) => {
    const element = find(selector);
    if (!(element instanceof HTMLElement)) return "it is not there";
    if (!shown(element)) return "it cannot be seen";
    return element.matches(":disabled, [aria-disabled=true]") ? "it is disabled" : element;
  };

  /** @type {(element: HTMLElement, value: string) => string | undefined} */
  const fill = (element, value) => {
    element.focus();
    if (element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement) setValue(element, value);
    else if (element.isContentEditable) element.textContent = value;
    else return "nothing can be written in it";
    element.dispatchEvent(new InputEvent("input", { bubbles: true, data: value, inputType: "insertText" }));
    tell(element, "change");
    return undefined;
  };

  /** @type {(element: HTMLElement, wanted: string) => string | undefined} */
  const choose = (element, wanted) => {
    if (!(element instanceof HTMLSelectElement)) return "it is no list to choose from";
    const option = [...element.options].find(({ value, label }) => value === wanted || label.trim() === wanted);
    if (!option) return `it has no option "${wanted}"`;
    setValue(element, option.value);
    tell(element, "input");
    tell(element, "change");
    return undefined;
  };

  /** @type {(element: HTMLElement) => undefined} */
  const click = (element) => {
    element.click();
    return undefined;
  };

  /**
   * A key that nobody pressed does nothing of itself: that Enter sends a form is done here.
   *
   * @type {(element: HTMLElement, key: string) => undefined}
   */
  const press = (element, key) => {
    element.focus();
    const detail = { key, code: key, bubbles: true, cancelable: true };
    const meant = element.dispatchEvent(new KeyboardEvent("keydown", detail));
    element.dispatchEvent(new KeyboardEvent("keyup", detail));
    const form = element.closest("form");
    if (meant && key === "Enter" && form && !(element instanceof HTMLTextAreaElement)) form.requestSubmit();
    return undefined;
  };

  /** @type {(selector: string, act: (element: HTMLElement) => string | undefined) => Seen} */
  const use = (selector, act) => {
    const element = usable(selector);
    const problem = typeof element === "string" ? element : act(element);
    return { done: problem === undefined, problem };
  };

  /** @type {(step: Step) => Seen} */
  const act = (each) => {
    if (each.fill !== undefined) return use(each.fill, (element) => fill(element, String(each.with)));
    if (each.choose !== undefined) return use(each.choose, (element) => choose(element, String(each.option)));
    if (each.click !== undefined) return use(each.click, click);
    if (each.press !== undefined) return use(each.in ?? "body", (element) => press(element, String(each.press)));
    if (each.wait !== undefined) return { done: shown(find(each.wait)), problem: "it does not appear" };
    if (each.gone !== undefined) return { done: !shown(find(each.gone)), problem: "it stays" };
    return { done: says(String(each.text), each.in), problem: "the text does not appear" };
  };

  /** @type {(image: HTMLImageElement) => string} */
  const drawn = (image) => {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: image.naturalWidth, height: image.naturalHeight });
    canvas.getContext("2d")?.drawImage(image, 0, 0);
    return canvas.toDataURL("image/png");
  };

  /** @type {(blob: Blob) => Promise<Seen>} */
  const inBase64 = async (blob) => {
    if (blob.size > most) return { done: false, hopeless: true, problem: `it has more than ${most} bytes` };
    const reader = new FileReader();
    await new Promise((resolve) => {
      reader.onloadend = resolve;
      reader.readAsDataURL(blob);
    });
    return { done: true, data: String(reader.result) };
  };

  /**
   * What is the page's own is read here, with the user's cookies; the rest is for the extension to fetch.
   *
   * @type {(address: string, image?: HTMLImageElement) => Promise<Seen>}
   */
  const fetched = async (address, image) => {
    const url = new URL(address, document.baseURI);
    if (/^https?:$/.test(url.protocol) && url.origin !== location.origin) return { done: true, url: url.href };
    try {
      const answer = await fetch(url);
      if (answer.ok) return await inBase64(await answer.blob());
      return { done: false, problem: `its address answers with ${answer.status}` };
    } catch (problem) {
      // The address may be gone again, as those of blobs are; what is seen can be copied all the same.
      return image ? { done: true, data: drawn(image) } : { done: false, problem: String(problem) };
    }
  };

  const notYet = { done: false, problem: "it holds no picture yet, or is of another kind than the recipe says" };

  /** @type {Record<string, (element: Element) => Promise<Seen>>} */
  const readers = {
    img: async (element) => {
      if (!(element instanceof HTMLImageElement) || !element.complete || element.naturalWidth === 0) return notYet;
      return fetched(element.currentSrc || element.src, element);
    },
    canvas: async (element) =>
      (element instanceof HTMLCanvasElement ? { done: true, data: element.toDataURL("image/png") } : notYet),
    link: async (element) =>
      (element instanceof HTMLAnchorElement && element.href ? fetched(element.href) : notYet),
    background: async (element) => {
      const address = /url\("?([^")]+)"?\)/.exec(getComputedStyle(element).backgroundImage)?.[1];
      return address ? fetched(address) : notYet;
    },
  };

  /** @type {(wanted: Picture) => Promise<Seen>} */
  const take = async (wanted) => {
    const [[kind, selector]] = Object.entries(wanted);
    const element = find(String(selector));
    return shown(element) ? readers[kind](element) : { done: false, problem: "it is not to be seen" };
  };

  try {
    const found = state();
    if (found) return { done: false, state: found };
    const seen = step ? act(step) : await take(/** @type {Picture} */ (picture));
    return { ...seen, percent: percent() };
  } catch (problem) {
    return { done: false, hopeless: true, problem: String(problem) };
  }
}
