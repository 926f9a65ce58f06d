"""Pitch curves from posteriors."""

import numpy as np
import pytest

from hf_model.audio.recording import as_recording
from hf_model.inference import convert, trace_pitch
from hf_model.notes.pitch import pitch_to_hz
from hf_model.transcriber.pitch_curve import peak_pitch
from tests.fakes import curve_models, tone_models, tones


def test_the_peak_is_the_mean_of_its_bins() -> None:
    """Bins of 0.2 semitones from 40: three quarters at 40.4, a quarter at 40.6; a bin an octave higher is left out."""
    posterior = np.zeros((1, 80), np.float32)
    posterior[0, [2, 3, 62]] = 0.6, 0.2, 0.2
    np.testing.assert_allclose(peak_pitch(posterior, 40.0, 0.2), [40.45], rtol=1e-6)


def test_the_curve_follows_the_voice() -> None:
    curve = trace_pitch(as_recording(tones([60.3, 66.7]), 16000), source="voice", models=curve_models())
    assert len(curve.pitch) == 91, "0.9 s, with both ends"
    for time, pitch in ((0.25, 60.3), (0.65, 66.7)):
        assert curve.voicing[round(100 * time)] == 1
        assert curve.pitch[round(100 * time)] == pytest.approx(pitch, abs=0.05)
        assert curve.frequency[round(100 * time)] == pytest.approx(float(pitch_to_hz(pitch)), rel=3e-3)
    assert curve.times[-1] == pytest.approx(0.9)
    assert curve.voicing[[2, 45, 88]].tolist() == [0, 0, 0]


def test_the_padding_of_short_recordings_is_cut_off() -> None:
    curve = trace_pitch(as_recording(np.zeros(160), 16000), source="voice", models=curve_models())
    assert len(curve.pitch) == 2


def test_a_transcriber_without_posteriors_is_named() -> None:
    rendition = convert(tones([60]), 16000, source="voice", models=tone_models())
    with pytest.raises(TypeError, match="a ToneTranscriber has no posteriors"):
        rendition.to_pitch_curve()
