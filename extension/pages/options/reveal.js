/** A button that shows or hides the text of a password field. */

/** @param {HTMLButtonElement} button @param {HTMLInputElement} input */
export function addRevealToggle(button, input) {
  button.addEventListener("click", () => {
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
  });
}
