/** Highlights the current section in the navigation: the one that was chosen there, or that the user scrolled to. */

/** What shows that the user scrolls, and not the page after a link was followed. */
const SCROLLED_BY_USER = ["wheel", "touchmove", "keydown", "pointerdown"];

export function highlightCurrentSection() {
  const links = [...document.querySelectorAll("nav a")];
  const sections = [...document.querySelectorAll("main > section")];
  /** The id of the section that was chosen; the page may be too short to scroll to it. */
  let chosen = location.hash.slice(1);

  const update = () => {
    const id = sections.some((section) => section.id === chosen) ? chosen : reached(sections).id;
    for (const link of links) {
      if (link.getAttribute("href") === `#${id}`) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  for (const type of SCROLLED_BY_USER) {
    addEventListener(type, () => {
      chosen = "";
    }, { passive: true });
  }
  for (const link of links) {
    link.addEventListener("click", () => {
      chosen = link.getAttribute("href")?.slice(1) ?? "";
      update();
    });
  }
  addEventListener("scroll", update, { passive: true });
  addEventListener("resize", update);
  new ResizeObserver(update).observe(document.body);
  update();
}

/**
 * The last section whose heading is above a line. The line moves down from the top of the window to its bottom while
 * the page is scrolled, so that every section is reached.
 *
 * @param {Element[]} sections
 */
function reached(sections) {
  const range = document.documentElement.scrollHeight - innerHeight;
  const line = range > 0 ? innerHeight * Math.min(1, scrollY / range) : 0;
  return sections.findLast((section) => section.getBoundingClientRect().top <= line) ?? sections[0];
}
