/** The recipe for the demonstration page that every Imagefleet server has. It is also a template for other recipes. */

/**
 * @param {string} server  address of the server
 * @returns {import("./page_recipe.js").Recipe}
 */
export function demoRecipe(server) {
  return {
    url: `${(server || "http://127.0.0.1:3000").replace(/\/+$/, "")}/extension/demo`,
    ready: "#prompt",
    steps: [
      { fill: "#prompt", with: "%prompt%" },
      { fill: "#width", with: "%width%" },
      { fill: "#height", with: "%height%" },
      { choose: "#light", option: "dusk" },
      { click: "#make" },
      { gone: "#working", timeoutMs: 60_000 },
    ],
    progress: "#progress",
    picture: { img: "#picture" },
    states: {
      loggedOut: { selector: "#login" },
      captcha: { selector: "#captcha" },
      refused: { selector: "#notice", text: "rules of the house" },
      rateLimited: { selector: "#notice", text: "too many pictures", retryAfterMs: 45_000 },
    },
  };
}
