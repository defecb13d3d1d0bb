/** Shows openapi.json with Swagger UI, in the colours that the reader's system prefers. */

const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", followColourScheme);
followColourScheme();

/** @type {any} */ (globalThis).SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "openapi.json",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  defaultModelsExpandDepth: 0,
});

function followColourScheme() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}
