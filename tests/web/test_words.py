import re

import pytest

from fakeface.reporting.judgements import RESERVATIONS as IN_THE_SHELL
from fakeface.web.words import LANGUAGES, RESERVATIONS, WORDS, Language, reason_in

HANGUL = re.compile(r"[\uac00-\ud7a3]")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_word_with_the_same_blanks(language: Language) -> None:
    assert WORDS[language].keys() == WORDS["en"].keys()
    for key, words in WORDS[language].items():
        assert sorted(re.findall(r"\{\w+\}", words)) == sorted(re.findall(r"\{\w+\}", WORDS["en"][key])), key
    assert RESERVATIONS[language].keys() == IN_THE_SHELL.keys()


def test_korean_is_korean() -> None:
    assert [key for key, words in WORDS["ko"].items() if not HANGUL.search(words)] == ["bce"]
    assert all(HANGUL.search(words) for words in RESERVATIONS["ko"].values())


def test_a_reason_without_a_korean_word_stays_exact() -> None:
    assert reason_in("ko", "32 bits a pixel of unknown range: expected 8 or 16").startswith("32 bits a pixel")
