import js from "@eslint/js";
import stylistic from "@stylistic/eslint-plugin";
import globals from "globals";

const message = "Do not create markup or code from strings, which may be untrusted: set textContent of elements.";

/** Forbid markup and code from strings: extension pages must not run text from a job or a server. */
const noCodeFromStrings = {
  "no-eval": "error",
  "no-implied-eval": "error",
  "no-new-func": "error",
  "no-script-url": "error",
  "no-restricted-properties": ["error",
    ...["innerHTML", "outerHTML", "insertAdjacentHTML", "srcdoc", "createContextualFragment", "setHTMLUnsafe"]
      .map((property) => ({ property, message })),
    ...["write", "writeln"].map((property) => ({ object: "document", property, message })),
  ],
  "no-restricted-syntax": ["error",
    { selector: "NewExpression[callee.name='DOMParser']", message },
    { selector: "CallExpression[callee.property.name='setAttribute'][arguments.0.value=/^(on|srcdoc$)/i]", message },
    { selector: "ImportExpression[source.type!='Literal']", message },
  ],
};

/** Mistakes that are easily overlooked. */
const likelyMistakes = {
  "array-callback-return": "error",
  "consistent-return": "error",
  "default-case-last": "error",
  "eqeqeq": "error",
  "no-async-promise-executor": "error",
  "no-console": "error",
  "no-constructor-return": "error",
  "no-else-return": "error",
  "no-implicit-coercion": ["error", { boolean: false }],
  "no-param-reassign": "error",
  "no-promise-executor-return": "error",
  "no-self-compare": "error",
  "no-shadow": "error",
  "no-throw-literal": "error",
  "no-unmodified-loop-condition": "error",
  "no-unreachable-loop": "error",
  "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
  "no-use-before-define": ["error", { functions: false, classes: false, variables: false }],
  "no-useless-return": "error",
  "no-var": "error",
  "no-warning-comments": "error",
  "object-shorthand": "error",
  "prefer-const": "error",
  "prefer-promise-reject-errors": "error",
  "prefer-template": "error",
  "require-atomic-updates": ["error", { allowProperties: true }],
  "complexity": ["error", 10],
  "max-lines": ["error", { max: 300, skipBlankLines: true, skipComments: true }],
};

const formatting = {
  "@stylistic/arrow-parens": "error",
  "@stylistic/comma-dangle": ["error", "always-multiline"],
  "@stylistic/eol-last": "error",
  "@stylistic/indent": ["error", 2],
  // JSDoc types cannot be wrapped.
  "@stylistic/max-len": ["error", { code: 120, ignorePattern: "^ *\\* @(property|param|returns) " }],
  "@stylistic/no-multiple-empty-lines": ["error", { max: 1, maxEOF: 0 }],
  "@stylistic/no-trailing-spaces": "error",
  "@stylistic/quotes": ["error", "double", { avoidEscape: true }],
  "@stylistic/semi": "error",
};

export default [
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  js.configs.recommended,
  {
    plugins: { "@stylistic": stylistic },
    languageOptions: { sourceType: "module" },
    rules: { ...noCodeFromStrings, ...likelyMistakes, ...formatting },
  },
  {
    files: ["extension/**/*.js"],
    ignores: ["extension/eslint.config.js"],
    languageOptions: { globals: { ...globals.browser, ...globals.serviceworker, ...globals.webextensions } },
  },
  {
    files: ["app/web/static/*.js"],
    languageOptions: { globals: globals.browser },
  },
  {
    files: ["tests/extension/**/*.js"],
    languageOptions: { globals: { ...globals.nodeBuiltin, ...globals.webextensions } },
    rules: { "max-lines": "off" },
  },
  {
    files: ["tests/acceptance/*.js"],
    languageOptions: { globals: globals.nodeBuiltin },
    rules: { "no-console": "off" },
  },
];
