import unicodedata

import pytest
from matplotlib import font_manager

from fakeface.reporting import names
from fakeface.reporting.names import OWN_FONT, drawn_name


@pytest.mark.parametrize(
    "name",
    [
        "가족 사진.jpg",
        "日本語の写真.jpg",
        "中文照片.jpg",
        "صورة العائلة.jpg",
        "ทดสอบ.jpg",
        "परिवार.jpg",
        "тест.jpg",
        "👨‍👩‍👧 🙂.jpg",
    ],
)
def test_a_name_is_drawn_as_it_is_in_fonts_that_have_its_letters(name: str) -> None:
    text, fonts = drawn_name(name)
    assert text == name
    letters = [font_manager.get_font(font_manager.findfont(font)).get_charmap() for font in fonts]
    assert all(any(ord(letter) in known for known in letters) for letter in name)


def test_the_usual_font_comes_first_and_no_other_without_need() -> None:
    assert drawn_name("photo.jpg") == ("photo.jpg", [OWN_FONT])
    assert drawn_name("가.jpg")[1][0] == OWN_FONT
    assert drawn_name("한.jpg 🙂 가")[1] == [OWN_FONT, "Noto Sans CJK JP", "Noto Emoji"]


def test_letters_that_a_mac_takes_apart_are_put_together() -> None:
    assert drawn_name(unicodedata.normalize("NFD", "가족 é.jpg"))[0] == "가족 é.jpg"


def test_what_no_font_has_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "FONT_PACKAGES", ("absent_fonts",))
    monkeypatch.setattr(names, "_installed_families", list)
    assert drawn_name("가 é 🧑.jpg") == (r"\uac00 é \U0001f9d1.jpg", [OWN_FONT])


def test_the_machines_own_fonts_are_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """STIXGeneral stands for one of them: it has the script letter A."""
    monkeypatch.setattr(names, "_installed_families", lambda: ["STIXGeneral"])
    assert drawn_name("한 \U0001d49c.jpg") == ("한 \U0001d49c.jpg", [OWN_FONT, "Noto Sans CJK JP", "STIXGeneral"])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a" * 32, "a" * 32),
        ("b" + "a" * 32, "…" + "a" * 31),
        ("가" * 16, "가" * 16),
        ("가" * 14 + ".jpeg", "…" + "가" * 13 + ".jpeg"),
        ("\x1b" * 8, r"\x1b" * 8),
        ("\x1b" * 9, "…" + r"\x1b" * 7),  # an escape is not cut in two
    ],
)
def test_of_a_long_name_the_end_is_shown(name: str, shown: str) -> None:
    assert drawn_name(name)[0] == shown
