"""Chromium, driven by its own driver, as wide as a phone or a desk, in the light or in the dark."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
CONTRAST = 4.5
"""WCAG 2.2, success criterion 1.4.3, level AA."""

TEXTS = """
const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgba = colour => {
  pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data];
};
const over = (top, below) => [0, 1, 2].map(i => (top[i] * top[3] + below[i] * (255 - top[3])) / 255).concat(255);
const paper = element => {
  const layers = [];
  for (let at = element; at; at = at.parentElement) layers.unshift(rgba(getComputedStyle(at).backgroundColor));
  return layers.reduce((below, top) => over(top, below), rgba('white'));
};
const light = colour => {
  const [r, g, b] = colour.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement, box = element.getBoundingClientRect();
  if (!walker.currentNode.data.trim() || !box.width || ['STYLE', 'SCRIPT'].includes(element.nodeName)) continue;
  const style = getComputedStyle(element), drawing = element.ownerSVGElement;
  const below = paper(element), ink = over(rgba(drawing ? style.fill : style.color), below);
  const [dark, bright] = [light(ink), light(below)].sort((a, b) => a - b);
  const scale = drawing ? drawing.getScreenCTM().a : 1;
  found.push([walker.currentNode.data.trim(), (bright + 0.05) / (dark + 0.05), parseFloat(style.fontSize) * scale]);
}
return found;
"""
"""Each text with its contrast to what is behind it and its size in pixels, as they are drawn."""


@contextmanager
def chromium(profile: Path, *flags: str) -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own; skips the test where there is none, and fails it there in CI."""
    if CHROMIUM is None or DRIVER is None:
        reason = "no chromium or chromedriver here: apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}", *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def shown(browser: webdriver.Chrome, url: str, width: int, scheme: str) -> webdriver.Chrome:
    """The page as a screen of that width shows it; a window cannot be as narrow as a phone, what it pretends to be can."""
    screen = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    for log in ("browser", "performance"):
        browser.get_log(log)  # type: ignore[no-untyped-call]
    browser.get(url)
    return browser


def requested(browser: webdriver.Chrome) -> list[str]:
    """The addresses that the page asked for since it was shown."""
    messages: list[dict[str, Any]] = [
        json.loads(entry["message"])["message"]
        for entry in browser.get_log("performance")  # type: ignore[no-untyped-call]
    ]
    return [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]
