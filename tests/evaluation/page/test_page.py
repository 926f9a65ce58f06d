"""The page of the evaluation: the same recordings for all, plain words, nobody's voice, sounds that can be played."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import soundfile

from hf_model.evaluation.evaluate import OURS, EvaluateSettings, Measured
from hf_model.evaluation.metrics import note_errors, note_scores
from hf_model.evaluation.page.page import Origin, same_recordings, write_page
from hf_model.evaluation.page.sounds import SECONDS, Example, write_listening_page
from hf_model.evaluation.render_test_set import Item
from hf_model.notes.note import Note

NOTES = [Note(0.1, 0.4, 60.0), Note(0.5, 0.8, 64.0)]
ORIGIN = Origin("2026-11-28", "0123456789abcdef", "full", {"ssvd": {"title": "Sight <singing>", "licence": "MIT"}})


def measured(name: str, corpus: str = "ssvd", **found: list[Note]) -> Measured:
    scores = {system: note_scores(NOTES, notes) for system, notes in found.items()}
    item = Item(corpus, name, "voice.wav", "", 44100 * 60, 0.0, tuple(NOTES))
    ours = found[OURS]
    sounds = {"direct": {"log_mel_distance": 12.5, "spectral_convergence": 0.9, "retranscribed_conp": 0.25}}
    return Measured(item, ours, NOTES, scores, sounds, note_errors(NOTES, ours))


@pytest.fixture
def page(tmp_path):
    soundfile.write(tmp_path / "one.wav", 0.1 * np.ones(8000), 8000)
    sounds = {"voice": tmp_path / "one.wav", "sampled": tmp_path / "one.wav"}
    examples = [Example("ssvd_one", sounds), Example("made_one", sounds, is_synthetic=True)]
    many = [
        measured("one", **{OURS: NOTES, "pyin": NOTES[:1]}),
        measured("two", **{OURS: NOTES, "pyin": NOTES[:1]}),
        measured("three", **{OURS: []}),
    ]
    write_page(tmp_path / "index.html", many, EvaluateSettings(bootstrap=20), tmp_path, ORIGIN, examples)
    return (tmp_path / "index.html").read_text(encoding="utf-8")


def test_systems_are_compared_on_the_same_recordings(page):
    many = [measured(name, **{OURS: NOTES, "pyin": []}) for name in ("a", "b")] + [measured("c", **{OURS: NOTES})]
    assert [one.item.pair_id for one in same_recordings(many)] == ["a", "b"]
    assert "All systems on the same 2 recordings:" in page
    assert "<td>HummingFace</td><td>1.000<small>1.00 to 1.00</small></td>" in page
    assert "<td>pYIN (librosa)</td><td>0.667<small>0.67 to 0.67</small></td>" in page
    assert "HummingFace on all 3 recordings:" in page
    assert "<td>HummingFace</td><td>0.667<small>" in page  # 1, 1 and 0


def test_the_page_says_what_it_comes_from_and_how_to_cite_it(page):
    assert "2026-11-28, code at commit <code>0123456789ab</code>, settings of the profile <code>full</code>" in page
    assert "Sight &lt;singing&gt;" in page
    assert "3 recordings, 6 notes, 3.0 min" in page
    assert "HummingFace contributors (2026). HummingFace: evaluation of the profile full, commit 0123456789ab." in page


def test_the_page_needs_no_other_file_and_fits_small_screens(page):
    assert not re.search(r"(src|href)=(?!\"data:)", page)
    assert "name=viewport" in page
    tables = page.count("<table")
    assert page.count("<div class=scroll><table") == tables > 3


def test_the_voice_of_a_real_singer_is_not_on_the_page(page):
    real, synthetic = page.split("<section>")[1:]
    assert "<figcaption>voice</figcaption>" in synthetic
    assert "<figcaption>voice</figcaption>" not in real
    assert "<figcaption>sampled piano</figcaption>" in real


def test_sounds_are_cut_and_can_be_read(tmp_path):
    soundfile.write(tmp_path / "long.wav", 0.1 * np.ones((20 * 8000, 2)), 8000)
    (tmp_path / "a.png").write_bytes(b"picture")
    example = Example("a <b>", {"voice": tmp_path / "long.wav"}, tmp_path / "a.png", "conp 0.9")
    write_listening_page(tmp_path / "page.html", [example])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "a &lt;b&gt;" in text
    assert base64.b64encode(b"picture").decode() in text
    kind, code = re.search(r'src="data:audio/(\w+);base64,([^"]+)"', text).groups()
    assert kind in ("mpeg", "wav")
    audio, sample_rate = soundfile.read(io.BytesIO(base64.b64decode(code)))
    assert (audio.ndim, len(audio) / sample_rate) == (1, pytest.approx(SECONDS, abs=0.2))
