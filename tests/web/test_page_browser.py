"""The page in a real browser: a photo goes in, a verdict comes out, on a desk, on a phone, in the dark, in both languages."""

import base64
import io
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser import CONTRAST, TEXTS, chromium, requested, shown
from tests.conftest import photo
from tests.faces.drawn import drawn_face
from tests.tiny_models import write_model
from tests.web.served import Served, served

PATIENCE_S = 30
VIEWS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
BRING = """
const [kind] = arguments;
fetch('examples/0.jpg').then(answer => answer.blob()).then(blob => {
  const carried = new DataTransfer(), how = {bubbles: true, cancelable: true};
  carried.items.add(new File([blob], 'face.jpg', {type: 'image/jpeg'}));
  document.body.dispatchEvent(kind === 'drop' ? new DragEvent(kind, {dataTransfer: carried, ...how})
    : new ClipboardEvent(kind, {clipboardData: carried, ...how}));
});
"""
"""A photo dropped onto the page, or pasted into it."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("site")
    for objective in ("ce", "bce"):
        write_model(folder / "models" / objective, objective, framing="face", gives_evidence=objective == "ce", is_sample=True)
    with served(folder / "models", folder / "here") as site:
        yield site


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("chromium"), "--lang=en") as browser:
        yield browser


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    drawn_face(0, 200).save(folder / "face.png")
    picture = photo(0, 700, 400)
    picture.paste(drawn_face(1, 160), (30, 100))
    picture.paste(drawn_face(0, 320), (330, 40))
    picture.save(folder / "two.png")
    drawn_face(0, 200).save(folder / "face.tif")
    photo(0, 90, 60).save(folder / "nobody.png")
    (folder / "notes.txt").write_text("no photo\n")
    photo(0).save(folder / "moving.webp", save_all=True, append_images=[photo(1)])
    large = Image.new("RGB", (6000, 5000), "grey")
    large.paste(drawn_face(0, 400).resize((4000, 4000)), (1000, 500))
    large.save(folder / "large.jpg", quality=80)
    with (folder / "80mb.jpg").open("wb") as file:
        file.truncate(80_000_000)
    return folder


def choose(browser: webdriver.Chrome, file: Path) -> None:
    """As in the file dialog; then wait until the page has answered."""
    browser.find_element(By.ID, "file").send_keys(str(file))
    answered(browser)


def answered(browser: webdriver.Chrome) -> None:
    ready = "return ['result', 'error'].some(id => !document.getElementById(id).hidden)"
    WebDriverWait(browser, PATIENCE_S).until(lambda page: page.execute_script(ready))


def texts(browser: webdriver.Chrome, selector: str) -> list[str]:
    return [element.text for element in browser.find_elements(By.CSS_SELECTOR, selector)]


def complaints(browser: webdriver.Chrome) -> list[object]:
    return list(browser.get_log("browser"))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_a_photo_goes_in_and_a_verdict_comes_out(
    browser: webdriver.Chrome, site: Served, files: Path, width: int, scheme: str
) -> None:
    """Nothing is asked of anybody else, nothing sticks out, every text can be read, and the console stays silent."""
    page = shown(browser, site.url, width, scheme)
    choose(page, files / "two.png")
    assert texts(page, ".face .title") == ["Face 1", "Face 2"]
    assert set(texts(page, ".face .answer")) <= {"Real", "Inconclusive", "Fake"}
    assert len(texts(page, ".face:first-child .model .percent")) == 2
    assert page.find_element(By.ID, "photo").get_attribute("aria-label") == "The photo, with 2 faces marked"
    assert complaints(page) == []
    assert {url.partition("//")[2].partition("/")[0] for url in requested(page)} == {site.url.partition("//")[2]}
    wide = page.execute_script(
        """
        const wide = document.documentElement.clientWidth;
        return [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > wide + 0.5)
          .map(e => e.outerHTML.slice(0, 100)).concat(document.documentElement.scrollWidth > wide ? ['the page'] : []);
        """
    )
    assert wide == []
    assert [text for text in page.execute_script(TEXTS) if text[1] < CONTRAST] == []


def test_both_bars_say_what_the_server_says(browser: webdriver.Chrome, site: Served, files: Path) -> None:
    page = shown(browser, site.url, 1280, "light")
    choose(page, files / "face.png")
    models = site.ask("/judge", (files / "face.png").read_bytes()).json["faces"][0]["models"]
    bars = page.find_elements(By.CSS_SELECTOR, "[role=meter]")
    assert [bar.get_attribute("aria-valuetext") for bar in bars] == [models[name]["spoken"] for name in ("ce", "bce")]
    for bar, name in zip(bars, ("ce", "bce"), strict=True):
        dot, track = bar.find_element(By.CSS_SELECTOR, ".dot").rect, bar.rect
        middle = (dot["x"] + dot["width"] / 2 - track["x"]) / track["width"]
        assert middle == pytest.approx(models[name]["shown"], abs=0.02)


def picture_on(page: webdriver.Chrome) -> NDArray[np.int64]:
    """The pixels of the canvas, (H, W, 3)."""
    url = page.execute_script("return document.getElementById('photo').toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")).astype(np.int64)


def test_the_map_is_switched_on_and_off_and_lies_on_the_face(browser: webdriver.Chrome, site: Served, files: Path) -> None:
    page = shown(browser, site.url, 1280, "light")
    choose(page, files / "two.png")
    without = picture_on(page)
    assert [label.is_displayed() for label in page.find_elements(By.CSS_SELECTOR, "[data-map]")] == [True, False]
    page.find_element(By.CSS_SELECTOR, "[name=map][value=ce]").click()
    assert page.find_element(By.ID, "map-label").text == "Where the score comes from"
    assert page.find_element(By.ID, "map-note").text.startswith("It shows what the score is made of, not what was edited")
    changed = np.abs(picture_on(page) - without).max(axis=2) > 8
    rows, columns = changed.shape
    assert changed[:, : int(0.03 * columns)].sum() == changed[: int(0.05 * rows)].sum() == 0
    assert changed[int(0.3 * rows) : int(0.6 * rows), int(0.6 * columns) : int(0.8 * columns)].mean() > 0.5
    page.find_element(By.CSS_SELECTOR, "[name=map][value='']").click()
    assert (picture_on(page) == without).all()
    assert not page.find_element(By.ID, "legend").is_displayed()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("notes.txt", "not a JPEG, PNG, WEBP, BMP or TIFF image"),
        ("moving.webp", "2 frames: expected a still image"),
        ("80mb.jpg", "> 20 MB"),
    ],
)
def test_what_cannot_be_judged_is_told_and_the_next_photo_is(
    browser: webdriver.Chrome, site: Served, files: Path, name: str, reason: str
) -> None:
    page = shown(browser, site.url, 1280, "light")
    choose(page, files / name)
    assert page.find_element(By.ID, "error").text == f"This photo could not be judged: {reason}"
    assert not page.find_element(By.ID, "result").is_displayed()
    assert not [url for url in requested(page) if "judge" in url and name == "80mb.jpg"]
    choose_anew(page, files / "face.png")
    assert texts(page, ".face .title") == ["Face 1"]
    assert not page.find_element(By.ID, "error").is_displayed()


def choose_anew(page: webdriver.Chrome, file: Path) -> None:
    page.find_element(By.ID, "file").send_keys(str(file))
    shown_now = "return !document.getElementById('result').hidden"
    WebDriverWait(page, PATIENCE_S).until(lambda page: page.execute_script(shown_now))


@pytest.mark.parametrize("name", ["large.jpg", "face.tif"])
def test_a_photo_of_30_megapixels_and_one_that_no_browser_shows_are_drawn(
    browser: webdriver.Chrome, site: Served, files: Path, name: str
) -> None:
    page = shown(browser, site.url, 1280, "light")
    choose(page, files / name)
    assert texts(page, ".face .title") == ["Face 1"]
    assert picture_on(page).std() > 10
    assert complaints(page) == []


def test_without_a_face_the_whole_picture_is_judged_only_if_asked(browser: webdriver.Chrome, site: Served, files: Path) -> None:
    page = shown(browser, site.url, 1280, "light")
    choose(page, files / "nobody.png")
    assert texts(page, ".face") == []
    page.find_element(By.ID, "whole").click()
    WebDriverWait(page, PATIENCE_S).until(lambda page: texts(page, ".face"))
    assert texts(page, ".face .title") == ["The whole picture"]
    assert "No face was found: the whole picture was judged." in texts(page, ".reservations li")


def test_the_drawn_faces_can_be_tried_by_keyboard_alone(browser: webdriver.Chrome, site: Served) -> None:
    page = shown(browser, site.url, 1280, "light")
    for _ in range(40):
        page.switch_to.active_element.send_keys(Keys.TAB)
        if "example" in (page.switch_to.active_element.get_attribute("class") or ""):
            break
    page.switch_to.active_element.send_keys(Keys.ENTER)
    answered(page)
    assert page.switch_to.active_element.get_attribute("id") == "result"
    assert texts(page, ".face .title") == ["Face 1"]


def test_a_photo_can_be_dropped_and_pasted(browser: webdriver.Chrome, site: Served) -> None:
    for event in ("drop", "paste"):
        page = shown(browser, site.url, 1280, "light")
        page.execute_script(BRING, event)
        answered(page)
        assert texts(page, ".face .title") == ["Face 1"]


@pytest.fixture(scope="module")
def camera(files: Path) -> tuple[str, ...]:
    """What gives Chromium a camera in front of which is a drawn face."""
    film = files / "camera.mjpeg"
    scene = Image.new("RGB", (640, 480), "grey")
    scene.paste(drawn_face(0, 320), (160, 80))
    scene.save(film, "JPEG", quality=95)
    return "--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"


def test_a_photo_is_taken_with_the_camera_which_is_then_off(site: Served, camera: tuple[str, ...], tmp_path: Path) -> None:
    with chromium(tmp_path / "profile", "--lang=en", "--use-fake-ui-for-media-stream", *camera) as page:
        shown(page, site.url, 390, "light")
        page.find_element(By.ID, "camera").click()
        take = page.find_element(By.ID, "take")
        WebDriverWait(page, PATIENCE_S).until(lambda _: take.is_displayed() and take.is_enabled())
        page.execute_script("window.seen = document.querySelector('#viewfinder video').srcObject")
        take.click()
        answered(page)
        assert texts(page, ".face .title") == ["Face 1"]
        assert page.execute_script("return seen.getTracks().map(track => track.readyState)") == ["ended"]
        assert not page.find_element(By.ID, "viewfinder").is_displayed()
        assert complaints(page) == []


def test_a_camera_that_is_refused_leaves_the_files_to_choose_from(
    site: Served, camera: tuple[str, ...], files: Path, tmp_path: Path
) -> None:
    with chromium(tmp_path / "profile", "--lang=en", *camera) as page:
        shown(page, site.url, 390, "light")
        page.execute_cdp_cmd("Browser.setPermission", {"permission": {"name": "camera"}, "setting": "denied"})
        page.execute_script("window.asked = []; document.getElementById('file').click = () => asked.push('files')")
        page.find_element(By.ID, "camera").click()
        WebDriverWait(page, PATIENCE_S).until(lambda page: page.execute_script("return asked") == ["files"])
        assert not page.find_element(By.ID, "viewfinder").is_displayed()
        choose(page, files / "face.png")
        assert texts(page, ".face .title") == ["Face 1"]


def test_korean_is_a_switch_away_and_the_browsers_own_language_comes_first(
    browser: webdriver.Chrome, site: Served, files: Path, tmp_path: Path
) -> None:
    page = shown(browser, site.url, 390, "light")
    assert page.find_element(By.TAG_NAME, "h1").text == "Is this face a composite?"
    page.find_element(By.LINK_TEXT, "한국어").click()
    choose(page, files / "face.png")
    assert page.find_element(By.TAG_NAME, "h1").text == "합성된 얼굴일까요?"
    assert texts(page, ".face .title") == ["얼굴 1"]
    assert set(texts(page, ".face .answer")) <= {"진짜", "합성", "판단 불가"}
    with chromium(tmp_path / "profile", "--lang=ko", "--accept-lang=ko") as korean:
        korean.get(site.url)
        assert korean.find_element(By.TAG_NAME, "h1").text == "합성된 얼굴일까요?"


def test_two_users_at_once_see_their_own_photos(site: Served, files: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first, second = (stack.enter_context(chromium(tmp_path / name)) for name in ("first", "second"))
        for user, name in ((first, "two.png"), (second, "face.png")):
            user.get(f"{site.url}?lang=en")
            user.find_element(By.ID, "file").send_keys(str(files / name))
        for user, faces in ((first, 2), (second, 1)):
            answered(user)
            assert len(texts(user, ".face")) == faces


def test_the_models_card_is_one_click_away(browser: webdriver.Chrome, site: Served) -> None:
    page = shown(browser, site.url, 390, "dark")
    page.find_element(By.LINK_TEXT, "About the models").click()
    assert page.find_element(By.CSS_SELECTOR, ".card h1").text == "The models"
    assert complaints(page) == []
