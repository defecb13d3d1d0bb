"""Makes the pictures of the store listing from the real pages: python -m tests.extension.screenshots [FOLDER]"""

from __future__ import annotations

import base64
import io
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from tests.support.chromium import EXTENSION, Chromium, running_chromium
from tests.support.page_user import PageUser, page_user

STORE = EXTENSION / "store"
WIDTH, HEIGHT = 1280, 800
ZOOM = 1.25
SERVER = "https://pictures.example.com"
FOX = "A red fox in the snow, wide angle"


def entry(number: int, kind: str, name: str, models: list[str], **settings: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "kind": kind, "name": name, "enabled": True, "models": models, "settings": settings}


ENTRIES = [
    entry(1, "openai", "My own key", ["gpt-image-1", "dall-e-3"], address="https://api.example.com/v1"),
    entry(2, "automatic1111", "Forge on my desktop", ["sdxl", "flux-dev"], address="http://127.0.0.1:7860"),
    entry(3, "canvas", "Test pictures", ["*"]),
]
SETTINGS = {"server": SERVER, "token": "x" * 24, "extensionId": "ann-desktop", "concurrency": 2, "providers": ENTRIES}
HOURS = {"enabled": True, "days": [1, 2, 3, 4, 5], "from": "22:00", "to": "06:00"}


def job(number: int, model: str, prompt: str, progress: int, words: str, stage: str = "working") -> dict[str, Any]:
    shown = {"requestId": str(number), "model": model, "prompt": prompt, "progress": progress, "words": words}
    return {**shown, "stage": stage, "startedAt": 0}


CONNECTED = {
    "state": "connected",
    "why": "",
    "since": 0,
    "taking": True,
    "notTaking": "",
    "jobs": [],
    "unsent": 0,
    "today": {"date": time.strftime("%Y-%m-%d"), "done": 42, "failed": 0},
}
BUSY = {
    **CONNECTED,
    "jobs": [
        job(1, "flux-dev", "A lighthouse at dusk, oil on canvas", 64, "Step 18 of 28"),
        job(2, "gpt-image-1", FOX, 100, "", "sending"),
    ],
    "unsent": 1,
}


def show(browser: Chromium, status: dict[str, Any], **settings: Any) -> None:
    browser.save(**{**SETTINGS, **settings})
    browser.evaluate(f"await chrome.storage.session.set({{status: {json.dumps(status)}}}); 0")


def capture(person: PageUser, width: int, height: int, scale: float = 1) -> bytes:
    """A screenshot of the window, scaled."""
    person.page.call("Emulation.setScrollbarsHidden", hidden=True)
    person.page.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
    )
    person.wait("await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
    return base64.b64decode(person.page.call("Page.captureScreenshot", format="png")["data"])


@contextmanager
def at(browser: Chromium, path: str, scheme: str) -> Iterator[PageUser]:
    with page_user(browser, path) as person:
        person.page.call("Emulation.setScrollbarsHidden", hidden=True)
        person.prefers(color_scheme=scheme, reduced_motion="reduce")
        yield person


def options(browser: Chromium, scheme: str, section: str, script: str = "0") -> bytes:
    """The settings page, scrolled to this section."""
    with at(browser, "pages/options.html", scheme) as person:
        person.resize(int(WIDTH / ZOOM), int(HEIGHT / ZOOM))
        person.evaluate(f"document.documentElement.style.scrollBehavior = 'auto'; location.hash = '#{section}'; 0")
        person.evaluate(f"document.activeElement.blur(); {script}")
        return capture(person, int(WIDTH / ZOOM), int(HEIGHT / ZOOM), ZOOM)


def popup(browser: Chromium, scheme: str) -> bytes:
    with at(browser, "pages/popup.html", scheme) as person:
        person.resize(352, 10)
        height = person.evaluate("document.documentElement.scrollHeight")
        return capture(person, 352, height, 1.6)


# There is no worker here, so the page uses the renderer directly.
MAKE_TRIAL_PICTURE = f"""
const {{canvas}} = await import("/providers/canvas.js");
const request = {{requestId: "r", prompt: {json.dumps(FOX)}, model: "test", width: 512, height: 512, position: 0, parameters: {{}}}};
const blob = await canvas.generate(request, {{signal: new AbortController().signal, progress() {{}}, settings: {{}}}});
const reader = new FileReader();
await new Promise((done) => {{ reader.onload = done; reader.readAsDataURL(blob); }});
chrome.runtime.sendMessage = async () => ({{ok: true, picture: reader.result}});
document.querySelector("#trial-provider").value = "e3";
document.querySelector("#trial-prompt").value = request.prompt;
document.querySelector("#trial-start").click();
"""


def with_trial_picture(browser: Chromium) -> bytes:
    with at(browser, "pages/options.html", "light") as person:
        person.resize(int(WIDTH / ZOOM), int(HEIGHT / ZOOM))
        person.evaluate(MAKE_TRIAL_PICTURE)
        person.wait_for_text("#trial-message", "Done.")
        person.evaluate("document.documentElement.style.scrollBehavior = 'auto'; location.hash = '#trial'; 0")
        return capture(person, int(WIDTH / ZOOM), int(HEIGHT / ZOOM), ZOOM)


def framed(browser: Chromium, folder: Path, name: str, body: str, width: int, height: int) -> bytes:
    """A generated page that contains screenshots."""
    page = folder / f"{name}.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><style>{FRAME}</style><body>{body}")
    with browser.open(page.as_uri()) as opened:
        return capture(PageUser(opened), width, height)


FRAME = """
body { margin: 0; height: 100vh; display: flex; align-items: center; justify-content: center; gap: 3rem; color: #fff;
  font: 1.25rem/1.4 system-ui, "DejaVu Sans", sans-serif; background: #2f5d8a; }
h1 { font-size: 2.4rem; line-height: 1.15; margin: 0 0 .75rem; } p { margin: 0; opacity: .9; }
.popup { border-radius: 14px; box-shadow: 0 24px 60px rgb(0 0 0 / 45%); }
.tile { color: #1b2026; background: #eef3f9; flex-direction: column; gap: .9rem; } .tile h1 { font-size: 2rem; margin: 0; } .tile p { font-size: 1.02rem; }
"""


def address(picture: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def around_popups(light: bytes, dark: bytes) -> str:
    pictures = "".join(f'<img class="popup" src="{address(each)}" width="400">' for each in (light, dark))
    return f'{pictures}<div style="max-width:19rem"><h1>Always in view</h1><p>Progress, today’s counts, and a switch to pause. Light and dark.</p></div>'


def tile() -> str:
    mark = address((EXTENSION / "icons" / "icon.svg").read_bytes(), "svg+xml")
    return (
        "<script>document.body.className='tile'</script>"
        f'<img src="{mark}" width="96"><h1>Imagefleet</h1><p>Your browser makes the pictures.</p>'
    )


def take(folder: Path) -> dict[str, bytes]:
    """All pictures by name."""
    # Without the worker, which would overwrite the status.
    with running_chromium(folder / "browser", "", background=None, host_permissions=["<all_urls>"]) as browser:
        show(browser, CONNECTED, hours=HOURS)
        taken = {
            "1-server": options(browser, "light", "server"),
            "2-providers": options(browser, "dark", "providers"),
            "3-recipe": options(browser, "light", "providers", RECIPE),
            "4-try-it": with_trial_picture(browser),
        }
        show(browser, BUSY)
        popups = around_popups(popup(browser, "light"), popup(browser, "dark"))
        taken["5-popup"] = framed(browser, folder, "popups", popups, WIDTH, HEIGHT)
        taken["promo-440x280"] = framed(browser, folder, "tile", tile(), 440, 280)
    return taken


RECIPE = """
document.querySelector("[data-kind=page]").click();
document.querySelector("#entry-name").value = "My studio page";
[...document.querySelectorAll("#editor .field-actions button")].at(-1).click();
document.querySelector(".editor-body").scrollTop = 190;
document.activeElement.blur();
"""


def main() -> None:
    """Make and save all pictures."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else STORE
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        taken = take(Path(folder))
    for name, content in taken.items():
        # The store does not accept transparency.
        picture = Image.open(io.BytesIO(content)).convert("RGB")
        picture.save(target / f"{name}.png", optimize=True)
        print(f"{name}.png {picture.size} {(target / f'{name}.png').stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
