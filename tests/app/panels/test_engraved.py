"""The engraved score of the page: of the last rendering, at the width that is asked for, without markup of the user."""

import pytest

from hf_model.app.limits import PageError
from hf_model.app.panels import engraved
from hf_model.app.panels.engraved import FILE, engraved_score
from hf_model.app.sessions import Session
from hf_model.export import engraving
from tests.app.panels.conftest import arranged

pytest.importorskip("verovio")


def test_the_score_of_the_last_rendering_is_engraved(session: Session) -> None:
    found = engraved_score(session, 805)
    assert [row[3] for row in found["notes"]] == [60, 62, 64, 65, 67]
    assert [row[1] for row in found["notes"]] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert "my tune<" in found["pictures"][0]
    session.version, session.arranged = 2, arranged(60, 67)
    assert len(engraved_score(session, 805)["notes"]) == 2


def test_the_same_score_is_engraved_once(session: Session, monkeypatch) -> None:
    first = engraved_score(session, 805)
    monkeypatch.setattr(engraved, "engrave_for_screen", None)
    assert engraved_score(session, 810) == first
    (session.folder / FILE).write_text("damaged")
    with pytest.raises(TypeError):
        engraved_score(session, 805)


@pytest.mark.parametrize(("asked", "width"), [(1, 240), (347, 340), (10**9, 1600)])
def test_widths_are_limited(session: Session, asked: int, width: int) -> None:
    assert f'width="{width}px"' in engraved_score(session, asked)["pictures"][0]


def test_words_are_part_of_the_score(session: Session) -> None:
    engraved_score(session, 800)
    session.words = ["la", "<b>li</b>"]
    picture = engraved_score(session, 800)["pictures"][0]
    assert ">la<" in picture
    assert "&lt;b&gt;li" in picture


def test_without_verovio_it_says_what_to_install(session: Session, monkeypatch) -> None:
    monkeypatch.setattr(engraving, "find_spec", lambda _: None)
    assert engraved_score(session, 800)["missing"].endswith("pip install 'hummingface[engrave]'")


def test_before_a_rendering_there_is_none(session: Session) -> None:
    session.arranged = None
    with pytest.raises(PageError, match="no longer on the server"):
        engraved_score(session, 800)
