"""A user of an extension page: reads it, types, clicks and presses keys, and records the page's errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.chromium import Chromium, Page

# Records the errors of a page: exceptions, violations of its content security policy, files that do not load.
RECORD_ERRORS = """
globalThis.recordedErrors = [];
const note = (kind, what) => globalThis.recordedErrors.push(`${kind}: ${what}`);
addEventListener("error", (event) => note("error", event.message ?? event.target.src ?? event.target.href), true);
addEventListener("unhandledrejection", (event) => note("rejected", event.reason?.stack ?? event.reason));
addEventListener("securitypolicyviolation", (event) => note("policy", `${event.violatedDirective} ${event.blockedURI}`));
for (const kind of ["error", "warn"]) console[kind] = (...words) => note(kind, words.join(" "));
"""
KEYS: dict[str, dict[str, Any]] = {
    "Tab": {"windowsVirtualKeyCode": 9},
    "Enter": {"windowsVirtualKeyCode": 13, "text": "\r"},
    "Escape": {"windowsVirtualKeyCode": 27},
    "Space": {"windowsVirtualKeyCode": 32, "text": " ", "key": " "},
}
SHIFT = 8
MUST_BE_NAMED = frozenset(
    {"button", "link", "textbox", "checkbox", "switch", "combobox", "spinbutton", "dialog", "progressbar", "image"}
    | {"region", "navigation", "DisclosureTriangle", "InputTime"}
)


class PageUser:
    """Acts on one page as a user does."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def evaluate(self, script: str) -> Any:
        """The value of a script, run in the page."""
        return self.page.evaluate(script)

    def wait(self, script: str, timeout_s: float = 20.0) -> Any:
        """Wait until the value of a script is truthy, and return it."""
        return self.page.until(script, timeout_s)

    def text(self, selector: str) -> str:
        """The visible text of an element."""
        return str(self.evaluate(f"{_find(selector)}.innerText"))

    def wait_for_text(self, selector: str, words: str) -> str:
        """Wait until the visible text of an element contains `words`; returns the text."""
        self.wait(f"{_find(selector)}?.innerText.includes({json.dumps(words)})")
        return self.text(selector)

    def click(self, selector: str) -> None:
        """Click the middle of an element with the mouse."""
        self.page.call("Page.bringToFront")
        where = self.wait(f"await ({CLICK_POINT})({_find(selector)})")
        for kind in ("mousePressed", "mouseReleased"):
            self.page.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)

    def type(self, selector: str, text: str) -> None:
        """Replace the text of a field."""
        self.evaluate(f"{_find(selector)}.focus(); {_find(selector)}.select()")
        if text:
            self.page.call("Input.insertText", text=text)
        else:
            self.evaluate("document.execCommand('delete')")

    def choose(self, selector: str, value: str) -> None:
        """Select a value of a list. Its menu belongs to the browser, so the events are dispatched by a script."""
        found = _find(selector)
        self.evaluate(
            f"{found}.value = {json.dumps(value)}; {found}.dispatchEvent(new Event('change', {{bubbles: true}}))"
        )

    def press(self, key: str, modifiers: int = 0) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            held = {"key": key, "code": key, **KEYS[key], "modifiers": modifiers}
            self.page.call("Input.dispatchKeyEvent", type=kind, **held)

    def walk(self, *, backwards: bool = False) -> list[dict[str, Any]]:
        """The elements that the Tab key reaches, in the order of the page, until it starts over."""
        steps: list[dict[str, Any]] = []
        for _ in range(300):
            self.press("Tab", SHIFT if backwards else 0)
            step = self.evaluate(FOCUSED_ELEMENT)
            if step is None:
                continue  # the focus is outside of the page, or on the dialog itself
            if step["number"] not in [known["number"] for known in steps]:
                steps.append(step)
            elif step["number"] == steps[-1]["number"]:
                steps[-1]["seen"] |= step["seen"]  # a field with several stops, such as one for a time
            else:
                break
        else:
            raise AssertionError("the Tab key never returns to the first element")
        # The walk began wherever the focus was.
        first = max(steps, key=_number) if backwards else min(steps, key=_number)
        at = steps.index(first)
        return steps[at:] + steps[:at]

    def unnamed(self) -> list[str]:
        """The controls without an accessible name."""
        self.page.call("Accessibility.enable")
        nodes = self.page.call("Accessibility.getFullAXTree")["nodes"]
        bad = [node for node in nodes if not node.get("ignored") and _role(node) in MUST_BE_NAMED and not _name(node)]
        return [f"{_role(node)} {node.get('properties')}" for node in bad]

    def names(self, role: str) -> list[str]:
        """The names of all elements with this role."""
        self.page.call("Accessibility.enable")
        nodes = self.page.call("Accessibility.getFullAXTree")["nodes"]
        return [_name(node) for node in nodes if not node.get("ignored") and _role(node) == role]

    def prefers(self, **features: str) -> None:
        """Emulate a preference of the user, as in color_scheme="dark"."""
        named = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        self.page.call("Emulation.setEmulatedMedia", features=named)

    def resize(self, width: int, height: int = 900) -> None:
        """Change the size of the window."""
        self.page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    @property
    def errors(self) -> list[str]:
        """The errors of the page so far."""
        found: list[str] = self.evaluate("recordedErrors")
        return found


# The middle of an element, or null if another element covers it or if it moves: the page may still be scrolling, or
# begin to in its next frame.
CLICK_POINT = """async (element) => {
  const middle = () => {
    const {left, top, width, height} = element.getBoundingClientRect();
    return {x: left + width / 2, y: top + height / 2};
  };
  element.scrollIntoView({block: "center", behavior: "instant"});
  const {x, y} = middle();
  for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
  const after = middle();
  if (after.x !== x || after.y !== y) return null;
  const there = document.elementFromPoint(x, y);
  return element.contains(there) || element.closest("label")?.contains(there) ? {x, y} : null;
}"""
# The focused element, or null if there is none. Its number identifies it.
FOCUSED_ELEMENT = """(element => {
  if (element === document.body || element instanceof HTMLDialogElement) return null;
  const shown = element.closest("label.day")?.querySelector("span") ?? element;
  const {outlineStyle, outlineWidth} = getComputedStyle(shown);
  return {
    number: [...document.querySelectorAll("*")].indexOf(element),
    name: element.id || element.getAttribute("aria-label") || element.innerText,
    seen: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2,
  };
})(document.activeElement)"""


def _find(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)})"


def _number(step: dict[str, Any]) -> int:
    return int(step["number"])


def _role(node: dict[str, Any]) -> str:
    return str(node.get("role", {}).get("value", ""))


def _name(node: dict[str, Any]) -> str:
    return str(node.get("name", {}).get("value", "")).strip()


@contextmanager
def page_user(browser: Chromium, path: str) -> Iterator[PageUser]:
    """Open a page of the extension; fails at the end if the page reported an error."""
    with browser.open("pages/popup.html") as page:
        page.call("Page.enable")
        page.call("Page.addScriptToEvaluateOnNewDocument", source=RECORD_ERRORS)
        page.call("Page.navigate", url=f"chrome-extension://{browser.extension_id}/{path}")
        person = PageUser(page)
        person.wait("globalThis.recordedErrors && document.body && 'ready' in document.body.dataset")
        yield person
        assert person.errors == []
