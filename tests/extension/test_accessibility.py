"""The pages with a keyboard, a screen reader, high contrast and small windows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.chromium import Chromium, running_chromium
from tests.support.page_user import PageUser, page_user

PAGES = ("pages/options.html", "pages/popup.html")


def entry(kind: str, number: int, **settings: Any) -> dict[str, Any]:
    return {
        "id": f"entry-{number}",
        "kind": kind,
        "name": f"Number {number} with quite a long name",
        "enabled": number != 2,
        "models": ["*", "a-model-with-a-very-long-name-that-does-not-fit-into-one-line-of-the-page"],
        "settings": settings,
    }


ENTRIES = [entry("canvas", 1), entry("openai", 2, address="https://api.example/v1"), entry("canvas", 3)]
JOB = {
    "requestId": "r",
    "model": "a-model",
    "prompt": "word " * 24,
    "progress": 40,
    "words": "Step 3",
    "stage": "working",
    "startedAt": 0,
}
STATUS = {
    "state": "waiting",
    "why": "The server at http://pictures.example cannot be reached.",
    "since": 0,
    "retryAt": 4e12,
    "taking": True,
    "notTaking": "",
    "jobs": [JOB, {**JOB, "requestId": "s", "stage": "sending", "progress": 100}],
    "unsent": 1,
    "today": {"date": "2000-01-01", "done": 1, "failed": 1},
    "failure": {"model": "a-model", "reason": "The page requires a login.", "at": 0},
}


def show(browser: Chromium, status: dict[str, Any]) -> None:
    browser.evaluate(f"await chrome.storage.session.set({{status: {json.dumps(status)}}}); 0")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser whose extension has much to show, without the worker, which would overwrite the status."""
    folder = tmp_path_factory.mktemp("browser")
    with running_chromium(folder, "", background=None) as browser:
        browser.save(
            server="http://pictures.example",
            providers=ENTRIES,
            hours={"enabled": True, "days": [1, 3], "from": "22:00", "to": "06:00"},
        )
        show(browser, STATUS)
        yield browser


@pytest.fixture(params=PAGES)
def person(request: pytest.FixtureRequest, browser: Chromium) -> Iterator[PageUser]:
    """A person at each of the pages."""
    with page_user(browser, request.param) as person:
        yield person


CONTROLS = """[...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
  .filter((e) => !e.disabled && !e.closest("dialog:not([open])") && !e.closest("details:not([open]) > :not(summary)"))
  .filter((e) => e.checkVisibility()).length"""


def test_the_tab_key_reaches_every_control_in_both_directions_with_visible_focus(person: PageUser) -> None:
    forwards = person.walk()
    assert len(forwards) == person.evaluate(CONTROLS)
    assert [step for step in forwards if not step["seen"]] == []
    assert person.walk(backwards=True) == forwards[::-1]


def test_every_control_has_a_name(person: PageUser) -> None:
    assert person.unnamed() == []


def test_every_provider_form_has_names_and_works_with_the_keyboard(browser: Chromium) -> None:
    with page_user(browser, PAGES[0]) as person:
        kinds = person.evaluate("[...document.querySelectorAll('[data-kind]')].map((e) => e.dataset.kind)")
        for kind in kinds:
            person.evaluate(f"document.querySelector('[data-kind={kind}]').focus()")
            person.press("Enter")
            person.wait("document.querySelector('#editor').open")
            person.evaluate("document.querySelectorAll('#editor details').forEach((e) => { e.open = true; })")
            assert person.unnamed() == [], kind
            walked = person.walk()
            assert len(walked) == person.evaluate(CONTROLS.replace("[...document", "[...document.querySelector('#editor')"))
            assert [step for step in walked if not step["seen"]] == []
            person.press("Escape")
            person.wait("!document.querySelector('#editor').open")
            assert person.evaluate("document.activeElement.dataset.kind") == kind


def test_labels_belong_to_their_controls(browser: Chromium) -> None:
    with page_user(browser, PAGES[0]) as person:
        assert {"Pairing code", "Address", "Token", "Name of this browser", "Prompt"} <= set(person.names("textbox"))
        assert {"Pause", "Work only during certain hours", f"Use {ENTRIES[0]['name']}"} <= set(person.names("switch"))
        assert set(person.names("checkbox")) == {
            "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
        }  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("contrast", ["no-preference", "more"])
def test_all_text_has_enough_contrast(person: PageUser, scheme: str, contrast: str) -> None:
    person.prefers(color_scheme=scheme, contrast=contrast, reduced_motion="reduce")
    person.evaluate("document.querySelector('[data-kind=openai]')?.click()")
    low = person.evaluate(LOW_CONTRAST)
    assert low == []


@pytest.mark.parametrize("width", [320, 480, 800, 1280])
def test_the_page_does_not_overflow_the_window(browser: Chromium, width: int) -> None:
    with page_user(browser, PAGES[0]) as person:
        person.resize(width)
        assert person.evaluate("document.documentElement.scrollWidth") <= width
        person.evaluate("document.querySelector('[data-kind=openai]').click()")
        assert person.evaluate("(e => e.scrollWidth <= e.clientWidth)(document.querySelector('#editor'))")


def test_the_popup_scrolls_between_its_header_and_footer(browser: Chromium) -> None:
    with page_user(browser, PAGES[1]) as person:
        person.resize(352, 400)
        assert person.evaluate("document.documentElement.scrollWidth") <= 352
        assert person.evaluate("document.documentElement.scrollHeight") > 400
        assert person.evaluate("document.querySelector('footer').getBoundingClientRect().bottom") <= 400
        person.evaluate("scrollTo(0, 1000)")
        assert person.evaluate("document.querySelector('header').getBoundingClientRect().top") == 0


def test_there_is_no_animation_with_reduced_motion(browser: Chromium, person: PageUser) -> None:
    show(browser, {**STATUS, "state": "connecting"})
    person.wait("document.getAnimations().length > 0")
    person.prefers(reduced_motion="reduce")
    assert person.evaluate("document.getAnimations().length") == 0
    show(browser, STATUS)


# Texts with less contrast to their background than WCAG requires.
LOW_CONTRAST = """(() => {
  const luminance = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, a = 1] = parts(getComputedStyle(at).backgroundColor);
      if (a > 0.99) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((m, n) => n - m); return (x + 0.05) / (y + 0.05); };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const low = [];
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest(":disabled")) continue;
    const found = contrast(parts(getComputedStyle(element).color), background(element));
    if (found < 4.5) low.push(`${node.data.trim()}: ${found.toFixed(2)}`);
  }
  return low;
})()"""
