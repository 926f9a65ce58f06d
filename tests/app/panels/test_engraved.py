"""The engraved score of the page: of the last rendering, at the width that is asked for, without markup of the user."""

import dataclasses

import pytest

from hf_model.app.limits import Limits, PageError
from hf_model.app.panels import engraved
from hf_model.app.panels.engraved import FILE, SLOW, attempt_engraving, engraved_score
from hf_model.app.sessions import Session
from hf_model.export import engraving
from tests.app.panels.conftest import arranged

pytest.importorskip("verovio")

LIMITS = Limits()


def test_the_score_of_the_last_rendering_is_engraved(session: Session) -> None:
    found = engraved_score(session, 805, LIMITS)
    assert [row[3] for row in found["notes"]] == [60, 62, 64, 65, 67]
    assert [row[1] for row in found["notes"]] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert "my tune<" in found["pictures"][0]
    session.version, session.arranged = 2, arranged(60, 67)
    assert len(engraved_score(session, 805, LIMITS)["notes"]) == 2


def test_the_same_score_is_engraved_once(session: Session, monkeypatch) -> None:
    first = engraved_score(session, 805, LIMITS)
    monkeypatch.setattr(engraved, "run_task", None)
    assert engraved_score(session, 810, LIMITS) == first
    (session.folder / FILE).write_text("damaged")
    with pytest.raises(TypeError):
        engraved_score(session, 805, LIMITS)


@pytest.mark.parametrize(("asked", "width"), [(1, 240), (347, 340), (10**9, 1600)])
def test_widths_are_limited(session: Session, asked: int, width: int) -> None:
    assert f'width="{width}px"' in engraved_score(session, asked, LIMITS)["pictures"][0]


def test_words_are_part_of_the_score(session: Session) -> None:
    engraved_score(session, 800, LIMITS)
    session.words = ["la", "<b>li</b>"]
    picture = engraved_score(session, 800, LIMITS)["pictures"][0]
    assert ">la<" in picture
    assert "&lt;b&gt;li" in picture


def test_without_verovio_it_says_what_to_install(session: Session, monkeypatch) -> None:
    monkeypatch.setattr(engraving, "find_spec", lambda _: None)
    found = attempt_engraving(session.folder, session.folder, LIMITS, session.arranged, "", 800, [])
    assert str(found["missing"]).endswith("pip install 'hummingface[engrave]'")


def test_before_a_rendering_there_is_none(session: Session) -> None:
    session.arranged = None
    with pytest.raises(PageError, match="no longer on the server"):
        engraved_score(session, 800, LIMITS)


def test_engraving_has_a_time_limit(session: Session) -> None:
    with pytest.raises(PageError, match=SLOW):
        engraved_score(session, 800, dataclasses.replace(LIMITS, score_seconds=0.0))
    assert engraved_score(session, 800, LIMITS)["pictures"], "another try is not refused"


def test_a_rendering_does_not_wait_for_the_score(session: Session, monkeypatch) -> None:
    def look(*_arguments: object, **_settings: object) -> dict[str, object]:
        assert not session.lock.locked()
        return {"pictures": [], "notes": []}

    monkeypatch.setattr(engraved, "run_task", look)
    assert engraved_score(session, 800, LIMITS)["pictures"] == []
