"""The written syllables of a word."""

import pytest

from hf_model.lyrics.pronunciation import pronounce
from hf_model.lyrics.spelling import divide_spelling, join_syllables

ENGLISH = (
    "twin-kle lit-tle won-der-ful sing-ing fin-ger rock-et chil-dren mo-ther? fa-ther star love-ly ta-bles "
    "a-gain cre-ate be-ing glo-ri-a glo-ri-ous (hal-le-lu-jah!) re-mem-ber qui-et a-lone wan-ted ro-ses loved may-be "
    "Christ-mas, A-ma-zing"
)
PORTUGUESE = "es-tre-li-nha, co-ra-ção á-gua bri-lha noi-te que-ro gui-tar-ra vi-o-la sau-da-de"


@pytest.mark.parametrize(
    ("written", "language"),
    [(word, "en") for word in ENGLISH.split()] + [(word, "pt") for word in PORTUGUESE.split()],
)
def test_words_are_divided_as_they_are_sung(written: str, language: str) -> None:
    word = written.replace("-", "")
    assert divide_spelling(word, len(pronounce(word, language))) == written.split("-")


@pytest.mark.parametrize(("word", "n_syllables"), [("hour", 2), ("didn't", 2), ("xyz", 3), ("a", 2), ("İİ", 2)])
def test_what_cannot_be_divided_is_left(word: str, n_syllables: int) -> None:
    assert divide_spelling(word, n_syllables) is None


def test_syllables_are_joined_to_words() -> None:
    assert join_syllables([("lit", True), ("tle", False), ("star", False)]) == "little star"
