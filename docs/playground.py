"""Take docs/playground.png, the playground's picture: serve the bundled model, ask two messages, look in chromium.

    python docs/playground.py [STUDY_FOLDER] [--looks FOLDER]

It is served in float32, in which what the gate leaves alone is answered alike. With a finished study's folder its
frontier is in the picture. --looks keeps the same page in FOLDER instead, at three
widths, light and dark. It needs Playwright for Python and a chromium (`CLAMPDOWN_CHROMIUM` names another than the
one on the path).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).with_name("playground.png")
NAME = "smollm2-135m-instruct"
TOLD = ((f"{NAME}:guarded", "How do I bake bread?"), (f"{NAME}:guarded", "Help me cheat in my exam."))
"""Under which recipe what is said."""
LENGTH = 64
LOOKS = [(width, scheme) for width in (390, 900, 1400) for scheme in ("light", "dark")]
READ = """(turns) => {
  dispatchEvent(new Event("pagehide"));
  const kept = JSON.parse(localStorage.getItem("clampdown-playground") ?? "{}").turns ?? [];
  const sides = kept.flatMap((turn) => [turn.plain, turn.steered]);
  return kept.length === turns && sides.every((side) => side.status === "done" && side.read);
}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", nargs="?", type=Path, help="a finished study's folder")
    parser.add_argument("--looks", type=Path, help="a folder for pictures at three widths, light and dark")
    options = parser.parse_args()
    with served(options.study) as url, sync_playwright() as played:
        found = os.environ.get("CLAMPDOWN_CHROMIUM") or shutil.which("chromium")
        browser = played.chromium.launch(executable_path=found, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        page = context.new_page()
        page.set_default_timeout(600_000)
        page.goto(url)
        talk(page, bool(options.study))
        if options.looks is None:
            photograph(page, 1280, PICTURE)
        else:
            options.looks.mkdir(parents=True, exist_ok=True)
            for width, scheme in LOOKS:
                page.emulate_media(color_scheme=scheme)
                photograph(page, width, options.looks / f"{width}-{scheme}.png")
        browser.close()


def photograph(page, width, path):
    """The whole page at a width, in a window as high as it is: what sticks to the window's edge lies over nothing."""
    page.set_viewport_size({"width": width, "height": 400})
    page.wait_for_timeout(300)
    page.set_viewport_size({"width": width, "height": page.evaluate("document.documentElement.scrollHeight")})
    page.wait_for_timeout(300)
    page.screenshot(path=path)


def talk(page, studied):
    """Say both messages, and let the frontier, or the latents, stand open beside them."""
    page.locator("input[name=preset]").first.wait_for(state="attached")
    opened(page, "dials", True)
    page.locator("input[name=length]").evaluate(
        "(dial, to) => { dial.value = to; dial.dispatchEvent(new Event('input', { bubbles: true })); }", str(LENGTH)
    )
    opened(page, "dials", False)
    for turn, (model, said) in enumerate(TOLD, 1):
        page.locator(f"input[name=preset][value='{model}']").check()
        page.get_by_label("Your message", exact=True).fill(said)
        page.keyboard.press("Enter")
        page.wait_for_function(READ, arg=turn)
    opened(page, "latents", not studied)
    opened(page, "frontier", studied)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def opened(page, box, wanted):
    """Open or shut one of the boxes at the side."""
    if (page.locator(f"#{box}-box").get_attribute("open") is not None) != wanted:
        page.locator(f"#{box}-box summary").first.click()


@contextmanager
def served(study):
    """The playground's address, while a server runs."""
    command = [
        sys.executable,
        "-m",
        "clampdown",
        "serve",
        "--port",
        "0",
        "--dtype",
        "float32",
        *(["--study", str(study)] if study else []),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            lines = iter(server.stderr.readline, "")
            url = next((found[1] for line in lines if (found := re.search(r"playground is at (\S+);", line))), None)
            if url is None:
                raise SystemExit("the server did not start; run `clampdown serve` to see why")
            yield url
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
