/** A page that makes pictures, worked by a recipe that the user wrote, in a tab in the background. */

import { Failure } from "../worker/failures.js";
import { demoRecipe } from "./demo_recipe.js";
import { isObject, originsOf, seedOf } from "./fields.js";
import { recipeProblem } from "./page_recipe.js";
import { makeReady, takePicture, walk } from "./page_run.js";
import { closeTab, openTab } from "./page_tabs.js";
import { filled } from "./places.js";
import { UNTIL_SEEN_TO_MS } from "./refusals.js";

/** @typedef {import("../shared/types.js").Order} Order */
/** @typedef {import("./page_recipe.js").Recipe} Recipe */

/** @type {import("../shared/types.js").Provider} */
export const page = {
  kind: "page",
  title: "Page recipe",
  about: "Works a page that makes pictures, step by step as you write it down. Only for pages whose owner lets you.",
  fields: [
    {
      name: "recipe", label: "Recipe", type: "json", required: true, demonstration: demoRecipe,
      help: "Which page, what to fill in and click there, where the picture appears, and how it looks when none comes.",
    },
  ],
  origins: ({ recipe }) => {
    const hosts = isObject(recipe) && Array.isArray(recipe.hosts) ? recipe.hosts : [];
    return [...new Set([recipe?.url, ...hosts].flatMap(originsOf))];
  },
  permissions: () => ["scripting"],
  problems: ({ recipe }) => {
    /** @type {Record<string, string>} */
    const problems = {};
    const problem = recipeProblem(recipe);
    if (problem) problems.recipe = problem;
    return problems;
  },
  check: async ({ recipe }, signal) => {
    const { url } = checked(recipe);
    await inTab(url, (tab) => makeReady(tab, recipe, () => {}, signal));
    return `${new URL(url).host} opens, and is ready.`;
  },
  generate: async (order, { signal, progress, settings }) => {
    const recipe = checked(settings.recipe);
    signal.throwIfAborted();
    progress(0, "Opening the page");
    const steps = filled(recipe.steps, valuesOf(order));
    return inTab(recipe.url, async (tab) => {
      await makeReady(tab, recipe, progress, signal);
      await walk(tab, { ...recipe, steps }, progress, signal);
      const blob = await takePicture(tab, recipe, progress, signal);
      progress(100, "Done");
      return blob;
    });
  },
};

/** Whatever happens, its tab goes. @type {<T>(url: string, work: (tab: number) => Promise<T>) => Promise<T>} */
async function inTab(url, work) {
  const tab = await openTab(url);
  try {
    return await work(tab);
  } finally {
    await closeTab(tab);
  }
}

/** @type {(recipe: unknown) => Recipe} */
function checked(recipe) {
  const problem = recipeProblem(recipe);
  if (problem) throw new Failure("The recipe is wrong", { reason: problem, retryAfterMs: UNTIL_SEEN_TO_MS });
  if (!globalThis.chrome?.scripting) {
    const reason = "This extension may not work in pages yet: allow it in the options.";
    throw new Failure("Not allowed yet", { reason, retryAfterMs: UNTIL_SEEN_TO_MS });
  }
  return /** @type {Recipe} */ (recipe);
}

/** @type {(order: Order) => import("./places.js").Values} */
function valuesOf(order) {
  const { prompt, model, width, height, parameters: { negativePrompt } } = order;
  const negative = typeof negativePrompt === "string" ? negativePrompt : "";
  return { prompt, model, width, height, negative, seed: seedOf(order) };
}
