/** The list of sections shows which of them is in sight. */

/** To be called once. */
export function followSections() {
  const all = [...document.querySelectorAll("nav a")];
  const links = new Map(all.map((link) => [link.getAttribute("href")?.slice(1), link]));
  /** @type {Set<string>} */
  const inSight = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) inSight.add(target.id);
      else inSight.delete(target.id);
    }
    const first = [...links.keys()].find((id) => id && inSight.has(id));
    for (const [id, link] of links) {
      if (id === first) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-80px 0px -50% 0px" });
  for (const section of document.querySelectorAll("main > section")) observer.observe(section);
}
