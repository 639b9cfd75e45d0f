"""The top of a report as a picture, for the README: needs Chromium.

python benchmarks/picture.py demo/report.html docs/images/demo.png
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="an HTML file, such as a run's report.html")
    parser.add_argument("out", type=Path, help="the picture, a PNG file")
    given = parser.parse_args()
    if not given.page.is_file():
        parser.error(f"no such file: {given.page}")
    found = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    browser_path = next(filter(None, found), None)
    if browser_path is None:
        parser.error("no Chromium on this machine: install chromium, or google-chrome")
    photograph(given.page.resolve(), given.out, browser_path)


def photograph(page_file: Path, out: Path, browser_path: str) -> None:
    """The first 1000 x 1330 pixels of the page, in its light colours."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        page = browser.new_page(viewport={"width": 1000, "height": 1330}, color_scheme="light")
        page.goto(page_file.as_uri())
        page.screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    main()
