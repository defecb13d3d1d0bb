/**
 * The demo studio: takes an order, works on it in steps and shows a picture. `?state=` shows what can keep a
 * real studio from it, `?show=` selects how the picture appears, `?pace=` how many ms a step takes.
 */

const query = new URLSearchParams(location.search);
const state = query.get("state") ?? "";
const show = query.get("show") ?? "img";
const pace = Math.min(60_000, Number(query.get("pace")) || 220);

const STEPS = ["Stretching the canvas", "Sketching", "Mixing colours", "Painting", "Varnishing"];
const WHEEL = { dawn: 20, noon: 190, dusk: 265 };
const NOTICES = {
  refused: "The studio does not paint this: it goes against the rules of the house.",
  "rate-limited": "Too many pictures for now. Try again in 45 seconds.",
};

/** @type {(id: string) => HTMLElement} */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const form = /** @type {HTMLFormElement} */ (element("order"));
const make = /** @type {HTMLButtonElement} */ (element("make"));
const canvas = /** @type {HTMLCanvasElement} */ (element("canvas"));
let address = "";
let working = false;

if (state === "logged-out") shut("login");
else if (state === "captcha") shut("captcha");
else form.addEventListener("submit", onSubmit);
form.addEventListener("input", ready);
ready();

/** Like many pages, this one reads its fields on input events only; values set without one are not noticed. */
function ready() {
  make.disabled = !form.checkValidity();
}

/**
 * Not by disabling the button, which would take the focus from it.
 *
 * @param {boolean} now
 */
function setWorking(now) {
  working = now;
  make.setAttribute("aria-disabled", String(now));
}

/** @param {string} gate */
function shut(gate) {
  element("studio").hidden = true;
  element(gate).hidden = false;
}

/** @param {SubmitEvent} event */
async function onSubmit(event) {
  event.preventDefault();
  if (working) return;
  const order = new FormData(form);
  setWorking(true);
  only("working");
  await work();
  if (state in NOTICES) notice(NOTICES[/** @type {keyof typeof NOTICES} */ (state)]);
  else await present(paint(order), String(order.get("prompt")));
  setWorking(false);
}

async function work() {
  for (const [number, step] of STEPS.entries()) {
    element("phase").textContent = step;
    element("progress").setAttribute("value", String((100 * number) / STEPS.length));
    await new Promise((resolve) => {
      if (state !== "stuck" || number < 2) setTimeout(resolve, pace);
    });
    if (state in NOTICES) return;
  }
}

/** @param {string} words */
function notice(words) {
  only("notice");
  element("notice").textContent = words;
  element("notice").dataset.kind = state;
}

/** @param {string} id */
function only(id) {
  for (const each of ["empty", "working", "notice", "result"]) element(each).hidden = each !== id;
}

/**
 * A sky of many suns, whose positions follow from the prompt.
 *
 * @param {FormData} order
 * @returns {HTMLCanvasElement}
 */
function paint(order) {
  const [width, height] = [Number(order.get("width")), Number(order.get("height"))];
  const chance = dice(String(order.get("prompt")));
  const hue = WHEEL[/** @type {keyof typeof WHEEL} */ (order.get("light"))] ?? 0;
  Object.assign(canvas, { width, height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const sky = context.createLinearGradient(0, 0, width * chance(), height);
  for (const [at, light] of [[0, 22], [0.55, 48], [1, 78]]) {
    sky.addColorStop(at, `hsl(${hue + 50 * at} 65% ${light}%)`);
  }
  context.fillStyle = sky;
  context.fillRect(0, 0, width, height);
  for (let count = 0; count < 26; count += 1) {
    context.beginPath();
    context.arc(width * chance(), height * chance(), (Math.min(width, height) * chance()) / 4, 0, 2 * Math.PI);
    context.fillStyle = `hsl(${hue + 120 * chance()} 80% ${45 + 45 * chance()}% / ${0.08 + 0.25 * chance()})`;
    context.fill();
  }
  return canvas;
}

/**
 * @param {HTMLCanvasElement} painted
 * @param {string} words
 */
async function present(painted, words) {
  const blob = await new Promise((resolve) => {
    painted.toBlob(resolve);
  });
  URL.revokeObjectURL(address);
  address = URL.createObjectURL(/** @type {Blob} */ (blob));
  element("download").setAttribute("href", address);
  element("caption").textContent = words;
  const picture = element("picture");
  picture.setAttribute("alt", words);
  if (show === "img") picture.setAttribute("src", address);
  picture.hidden = show !== "img";
  canvas.hidden = show !== "canvas";
  canvas.setAttribute("aria-label", words);
  const backdrop = element("backdrop");
  backdrop.hidden = show !== "background";
  backdrop.style.backgroundImage = show === "background" ? `url("${address}")` : "";
  only("result");
}

/**
 * Numbers from 0 to 1 that follow from a text.
 *
 * @param {string} text
 * @returns {() => number}
 */
function dice(text) {
  let number = 1;
  for (const byte of new TextEncoder().encode(text)) number = (Math.imul(number, 31) + byte) | 0;
  return () => {
    number = (Math.imul(number, 1_664_525) + 1_013_904_223) | 0;
    return (number >>> 8) / 2 ** 24;
  };
}
