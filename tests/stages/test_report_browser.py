"""The report in a real browser, on a desk, on a phone, in the dark and on paper: Chromium, driven by its own driver."""

import base64
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from selenium import webdriver

from fakeface.core.records import PairRecord
from fakeface.tracking import registry, runs
from stages import report
from tests.browser import CONTRAST, TEXTS, chromium, requested, shown
from tests.reported import Results, images, write_photos_of, write_results

VIEWS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
SMALLEST_TEXT_PX = 8.5


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """With every warning, long and Korean names, photos, and the widest numbers."""
    rows = images({"train": 1060, "valid": 24, "test": 40, "excluded": 2})
    tests = [at for at, row in enumerate(rows) if row.side == "test"]
    for at in tests[::2]:
        rows[at] = replace(rows[at], path=f"test/{'가족사진' * 8}_{'long_name_without_a_place_to_break_' * 3}{at}.jpg")
    pairs = [PairRecord(rows[at].path, rows[tests[at]].path, "photo", 9) for at in range(20)]
    root = tmp_path_factory.mktemp("results")
    results = write_results(root, rows, pairs=pairs, skill=0.3)
    write_photos_of(root, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "publish_evaluation", lambda *_: None)
        patch.setattr(registry, "register", lambda *_: None)
        report.main(results.arguments())
    return results


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


def page(results: Results) -> str:
    return (results.root / "metrics/report.html").as_uri()


@pytest.fixture(params=VIEWS, ids=[f"{width}-{scheme}" for width, scheme in VIEWS])
def view(request: pytest.FixtureRequest, browser: webdriver.Chrome, results: Results) -> webdriver.Chrome:
    return shown(browser, page(results), *request.param)


def test_the_console_stays_silent(view: webdriver.Chrome) -> None:
    assert view.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_nothing_is_asked_of_the_network(view: webdriver.Chrome, results: Results) -> None:
    asked = requested(view)
    assert page(results) in asked
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]


def test_the_page_never_scrolls_sideways(view: webdriver.Chrome) -> None:
    """Nor does anything reach beyond the edge, but inside what scrolls itself."""
    assert (
        view.execute_script(
            """
        const wide = document.documentElement.clientWidth;
        return [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, pre, svg'))
          .filter(e => e.getBoundingClientRect().right > wide + 0.5).map(e => e.outerHTML.slice(0, 200))
          .concat(document.documentElement.scrollWidth > wide ? ['the page'] : []);
        """
        )
        == []
    )


def test_every_section_is_seen(view: webdriver.Chrome) -> None:
    heights = view.execute_script(
        "return [...document.querySelectorAll('section')].map(e => [e.id, e.offsetHeight, e.querySelector('h2').offsetHeight])"
    )
    assert len(heights) == 13
    assert not [of for of in heights if of[1] < 100 or of[2] < 15]


def test_every_picture_is_drawn(view: webdriver.Chrome) -> None:
    photos = view.execute_script("return [...document.images].map(e => [e.complete, e.naturalWidth, e.offsetWidth])")
    assert len(photos) == 16
    assert all(complete and width > 0 and shown > 0 for complete, width, shown in photos)
    figures = view.execute_script(
        """
        return [...document.querySelectorAll('figure svg')].map(e => {
          const box = e.getBoundingClientRect(), pad = parseFloat(getComputedStyle(e).paddingLeft);
          const texts = [...e.querySelectorAll('text')].map(t => t.getBoundingClientRect());
          const cut = texts.filter(t => t.left < box.left + pad - 1 || t.right > box.right - pad + 1);
          return [box.width, box.height, texts.length, cut.length];
        })
        """
    )
    assert len(figures) == 5
    for width, height, texts, cut in figures:
        assert width > 300
        assert height > 200
        assert texts > 10
        assert cut == 0


def test_every_text_can_be_read(view: webdriver.Chrome) -> None:
    texts = view.execute_script(TEXTS)
    assert len(texts) > 400
    assert not [text for text in texts if text[1] < CONTRAST]
    assert not [text for text in texts if text[2] < SMALLEST_TEXT_PX]


def test_the_dark_is_dark(browser: webdriver.Chrome, results: Results) -> None:
    found = [
        shown(browser, page(results), 1280, scheme).execute_script(
            "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
        )
        for scheme in ("light", "dark")
    ]
    assert min(found[0]) > 240
    assert max(found[1]) < 40


def test_the_first_screen_of_a_phone_answers(browser: webdriver.Chrome, results: Results) -> None:
    phone = shown(browser, page(results), 390, "light")
    bottom, text = phone.execute_script(
        "const e = document.querySelector('.answer'); return [e.getBoundingClientRect().bottom, e.textContent]"
    )
    assert bottom < 844
    assert re.search(r"\d+ test images of the drawn sample, .* an accuracy of \d+\.\d.% .*AUC of 0\.\d{3}", text)


def test_a_link_of_the_contents_leads_to_its_section(browser: webdriver.Chrome, results: Results) -> None:
    phone = shown(browser, page(results), 390, "light")
    for link in phone.find_elements("css selector", "nav a"):
        phone.execute_script("arguments[0].click()", link)
        name = (link.get_attribute("href") or "").partition("#")[2]
        top = phone.execute_script("return document.getElementById(arguments[0]).getBoundingClientRect().top", name)
        assert top < 844, name


def test_it_prints_on_white_paper_in_ten_pages_or_so(browser: webdriver.Chrome, results: Results) -> None:
    dark = shown(browser, page(results), 1280, "dark")
    printed = dark.execute_cdp_cmd("Page.printToPDF", {"printBackground": True, "preferCSSPageSize": True})["data"]
    pages = re.findall(rb"/Type\s*/Page\b", base64.b64decode(printed))
    assert 5 <= len(pages) <= 14
    dark.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        colours = dark.execute_script("const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]")
        assert colours == ["rgb(255, 255, 255)", "rgb(26, 29, 33)"]
    finally:
        dark.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
