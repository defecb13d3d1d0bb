/** The recipe for the demonstration studio that our own server shows, as an example to try and to start from. */

/**
 * @param {string} server  its address
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
