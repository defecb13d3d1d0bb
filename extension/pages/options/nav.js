/** Highlights the visible section in the navigation. */

export function highlightCurrentSection() {
  const all = [...document.querySelectorAll("nav a")];
  const links = new Map(all.map((link) => [link.getAttribute("href")?.slice(1), link]));
  /** @type {Set<string>} */
  const visible = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) visible.add(target.id);
      else visible.delete(target.id);
    }
    const first = [...links.keys()].find((id) => id && visible.has(id));
    for (const [id, link] of links) {
      if (id === first) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-80px 0px -50% 0px" });
  for (const section of document.querySelectorAll("main > section")) observer.observe(section);
}
