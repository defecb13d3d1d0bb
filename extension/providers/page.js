/** A web page that makes pictures, operated by the user's recipe in a background tab. */

import { Failure } from "../shared/failures.js";
import { demoRecipe } from "./demo_recipe.js";
import { NEEDS_USER_MS } from "./http_failures.js";
import { recipeProblem } from "./page_recipe.js";
import { readPicture, runSteps, waitUntilReady } from "./page_runner.js";
import { closeTab, openTab } from "./page_tabs.js";
import { fillPlaceholders, hasPlaceholder, parametersIn } from "./placeholders.js";
import { seedOf } from "./seeds.js";
import { isObject, originsOf } from "./validation.js";

/** @typedef {import("../shared/types.js").PictureRequest} PictureRequest */
/** @typedef {import("./page_recipe.js").Recipe} Recipe */

/** @type {import("../shared/types.js").Provider} */
export const page = {
  kind: "page",
  title: "Page recipe",
  about: "Operates a web page that makes pictures, step by step. Only for pages whose owner allows this.",
  fields: [
    {
      name: "recipe", label: "Recipe", type: "json", required: true, demonstration: demoRecipe,
      help: "Which page to open, what to fill in and click, where the picture appears, and how to recognise errors.",
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
  check: async (settings, signal) => {
    const recipe = requireRecipe(settings.recipe);
    await withTab(recipe.url, (tab) => waitUntilReady(tab, recipe, () => {}, signal));
    return `${new URL(recipe.url).host} can be opened and is ready.`;
  },
  generate: async (request, { signal, progress, used, settings }) => {
    const recipe = requireRecipe(settings.recipe);
    signal.throwIfAborted();
    progress(0, "Opening the page");
    const values = placeholderValues(request);
    const steps = fillPlaceholders(recipe.steps, values);
    const seed = hasPlaceholder(recipe.steps, "seed") ? seedOf(request) : undefined;
    used({ seed, parameters: parametersIn(recipe.steps) });
    return withTab(recipe.url, async (tab) => {
      await waitUntilReady(tab, recipe, progress, signal);
      await runSteps(tab, { ...recipe, steps }, progress, signal);
      const blob = await readPicture(tab, recipe, progress, signal);
      progress(100, "Done");
      return blob;
    });
  },
  resumes: false,
};

/** Opens a tab and always closes it. @type {<T>(url: string, work: (tab: number) => Promise<T>) => Promise<T>} */
async function withTab(url, work) {
  const tab = await openTab(url);
  try {
    return await work(tab);
  } finally {
    await closeTab(tab);
  }
}

/** @type {(recipe: unknown) => Recipe} */
function requireRecipe(recipe) {
  const problem = recipeProblem(recipe);
  if (problem) throw new Failure("The recipe is invalid", { reason: problem, retryAfterMs: NEEDS_USER_MS });
  if (!globalThis.chrome?.scripting) {
    const reason = "This extension is not allowed to operate web pages. Allow it in the settings.";
    throw new Failure("Not allowed", { reason, retryAfterMs: NEEDS_USER_MS });
  }
  return /** @type {Recipe} */ (recipe);
}

/** @type {(request: PictureRequest) => import("./placeholders.js").Values} */
function placeholderValues(request) {
  const { prompt, model, width, height, parameters: { negativePrompt } } = request;
  const negative = typeof negativePrompt === "string" ? negativePrompt : "";
  return { prompt, model, width, height, negative, seed: seedOf(request) };
}
