"""The served model, without MLflow."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from hf_model.direct.network import Direct, DirectConfig
from hf_model.inference import Models
from hf_model.separator.source import Source
from hf_model.synthesizer.config import SynthesizerConfig
from hf_model.synthesizer.network import SynthesizerNetwork
from hf_model.synthesizer.synthesizer import Synthesizer
from tests.fakes import tone_models, tones

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own


@pytest.fixture
def served():
    from stages.tracking.served_model import Served

    return Served()


def wav():
    content = io.BytesIO()
    soundfile.write(content, tones([60, 64], 22050)[:15_001], 22050, format="WAV")
    return content.getvalue()


def load(served, **artifacts):
    served.load_context(SimpleNamespace(artifacts={name: str(path) for name, path in artifacts.items()}))
    return served


def test_transcriber_uses_the_sampled_piano(served, tmp_path):
    load(served, transcriber=tmp_path)
    assert (served.sound, served.models.folder) == ("sampled", tmp_path)
    served.models = tone_models()
    (answer,) = served.predict(None, [wav()])
    piano, sample_rate = soundfile.read(io.BytesIO(answer.audio))
    assert (len(piano), sample_rate) == (30_002, 44100)
    assert [round(note["pitch"]) for note in json.loads(answer.notes)] == [60, 64]
    assert answer.source == "voice"


def test_the_voice_of_a_song_is_separated(served, tmp_path, monkeypatch):
    monkeypatch.setattr("hf_model.preparation.separation.detect_source", lambda *_: Source("song", 0.9))
    load(served, transcriber=tmp_path)
    served.models = tone_models()
    content = io.BytesIO()
    soundfile.write(content, np.stack([tones([60, 64], 44100), tones([40, 43], 44100)]).T, 44100, format="WAV")
    (answer,) = served.predict(None, [content.getvalue()])
    assert answer.source == "song"
    assert [round(note["pitch"]) for note in json.loads(answer.notes)] == [60, 64]


def test_synthesizer_is_the_piano(served, tmp_path):
    SynthesizerNetwork(SynthesizerConfig()).save_pretrained(tmp_path)
    (tmp_path / "other").mkdir()
    load(served, synthesizer=tmp_path, transcriber=tmp_path / "other")
    assert (served.sound, served.models.folder) == ("neural", tmp_path / "other")
    assert isinstance(served.models.renderer("neural"), Synthesizer)


def test_the_direct_baseline_has_no_notes(served, tmp_path):
    Direct(DirectConfig(channels=4, depth=1, phase_iterations=1)).save_pretrained(tmp_path)
    load(served, direct=tmp_path)
    assert isinstance(served.models, Models)
    (answer,) = served.predict(None, [wav()])
    assert answer.notes == "[]"
    assert soundfile.info(io.BytesIO(answer.audio)).frames == 30_002
