"""Names of files as a figure shows them: in the fonts that have their letters, and in so much room."""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from matplotlib import font_manager, get_data_path

from fakeface.core.console import printable

OWN_FONT = "DejaVu Sans"
"""Matplotlib brings it: Latin, Greek, Cyrillic, Arabic and Hebrew letters."""
FONT_PACKAGES = ("noto_cjk_sans_jp_regular", "manimgx_fonts")
"""Packages that hold fonts and nothing else: Korean, Japanese and Chinese letters; those of South Asia and others, emoji."""


def drawn_name(name: str, room: int = 32) -> tuple[str, list[str]]:
    """The name of a file as text to draw, and the fonts (families) to draw it with, which have all its letters.

    Letters that macOS stores in parts are put together. What no font on this machine has is escaped as in `printable`. Of a
    text wider than `room` Latin letters only the end is drawn, which tells photos apart.
    """
    letters = [printable(letter) for letter in unicodedata.normalize("NFC", name)]
    fonts, missing = _fonts_with(set("".join(letters)))
    shown = [letter.encode("unicode_escape").decode("ascii") if letter in missing else letter for letter in letters]
    if sum(map(_width, shown)) > room:
        while sum(map(_width, shown)) >= room:
            del shown[0]
        shown = ["…", *shown]
    return "".join(shown), fonts


def _width(text: str) -> int:
    """In Latin letters; an East Asian one is twice as wide."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _fonts_with(letters: set[str]) -> tuple[list[str], set[str]]:
    """As few fonts as have the letters, the usual one at least, and those of the letters that no font has."""
    missing = letters
    used: list[str] = []
    for family, known in _fonts():
        if not used or missing & known:
            used.append(family)
            missing = missing - known
        if not missing:
            break
    return used, missing


def _fonts() -> Iterator[tuple[str, set[str]]]:
    """Families with their letters: matplotlib's own, those installed with this project, and those of the machine."""
    yield OWN_FONT, _letters(font_manager.findfont(OWN_FONT))
    for path in _packed_fonts():
        yield _family(path), _letters(str(path))
    for family in _installed_families():
        with suppress(OSError, RuntimeError):  # deleted since matplotlib listed the fonts, or damaged
            yield family, _letters(font_manager.findfont(family))


def _packed_fonts() -> Iterator[Path]:
    for spec in filter(None, map(find_spec, FONT_PACKAGES)):
        for folder in spec.submodule_search_locations or ():
            yield from sorted(path for path in Path(folder).glob("*.?tf") if "Italic" not in path.name)


def _installed_families() -> list[str]:
    """The machine's own fonts, those without serifs first; not matplotlib's for formulas, nor fonts of boxes."""
    families = {
        font.name
        for font in font_manager.fontManager.ttflist
        if (font.style, font.weight) == ("normal", 400)
        and not font.fname.startswith(get_data_path())
        and not re.search("last ?resort", font.name, re.IGNORECASE)
    }
    return sorted(families, key=lambda family: ("sans" not in family.lower(), family))


@cache
def _family(path: Path) -> str:
    font_manager.fontManager.addfont(path)
    return str(font_manager.fontManager.ttflist[-1].name)


@cache
def _letters(path: str) -> set[str]:
    return set(map(chr, font_manager.get_font(path).get_charmap()))
