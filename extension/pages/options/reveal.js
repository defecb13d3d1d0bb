/** A button that shows what is typed into a field for secrets. */

/** @param {HTMLButtonElement} button @param {HTMLInputElement} input */
export function reveals(button, input) {
  button.addEventListener("click", () => {
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
  });
}
