"""The model served by MLflow: the bytes of an audio file in, notes and the bytes of a wav file out.

MLflow stores this file with every model and runs it when the model is loaded (models from code).
"""

from __future__ import annotations

import io
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class Converted(pydantic.BaseModel):
    """Notes as JSON, a wav file, and what the recording was: a "voice" alone, or a "song"."""

    notes: str
    audio: bytes
    source: str = "voice"


class Served(PythonModel):
    """HummingFace behind ``mlflow.pyfunc``."""

    def load_context(self, context: Any) -> None:
        """Load the logged models; the others are those of the package."""
        from hf_model.inference import Models

        self.direct: Any = None
        if "direct" in context.artifacts:
            from hf_model.direct.network import Direct

            self.direct = Direct.from_pretrained(context.artifacts["direct"])
        pianos: dict[str, Any] = {}
        if "synthesizer" in context.artifacts:
            from hf_model.synthesizer.synthesizer import Synthesizer

            pianos["neural"] = Synthesizer.from_pretrained(context.artifacts["synthesizer"])
        self.models = Models(context.artifacts.get("transcriber"), renderers=pianos)
        self.sound = "neural" if "synthesizer" in context.artifacts else "sampled"

    def predict(self, context: Any, model_input: list[bytes]) -> list[Converted]:  # type: ignore[override]  # noqa: ARG002
        """Convert audio files, given as bytes.

        Returns
        -------
        list of Converted
            ``notes``: JSON, a list of onset and offset (seconds), pitch (MIDI number, float), velocity, confidence;
            ``audio``: the bytes of a 16-bit wav file at 44.1 kHz, exactly as long; ``source``: "voice", or "song" for a
            recording whose voice was separated first.
        """
        return [self._convert(content) for content in model_input]

    def _convert(self, content: bytes) -> Converted:
        import soundfile

        from hf_model.audio.grid import PIANO_SAMPLE_RATE, resampled_length
        from hf_model.audio.recording import read_recording
        from hf_model.inference import render, transcribe_recording
        from hf_model.music.arrangement import MIN_NOTE
        from hf_model.piano.performance import Performance
        from hf_model.piano.rendering import gain_for
        from hf_model.preparation.separation import separate

        notes: list[Any] = []
        kind = "voice"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "voice"
            path.write_bytes(content)
            recording = read_recording(path)
            n_samples = resampled_length(recording.n_samples, recording.sample_rate, PIANO_SAMPLE_RATE)
            if self.direct is not None:
                audio = self.direct.render(recording.voice, n_samples)
            else:
                separated = separate(recording, lambda: self.models.separator)  # reads the file of a song again
                kind = separated.source.kind
                melody = transcribe_recording(separated, min_note=MIN_NOTE, models=self.models)
                notes = melody.notes
                performance = Performance(self.sound, normalize=False)
                audio = render(melody.piano_notes, n_samples, performance, self.models)
        audio = audio * np.float32(gain_for(float(np.abs(audio).max(initial=0.0))))
        wav = io.BytesIO()
        soundfile.write(wav, audio.T, PIANO_SAMPLE_RATE, format="WAV", subtype="PCM_16")
        return Converted(notes=json.dumps([asdict(note) for note in notes]), audio=wav.getvalue(), source=kind)


set_model(Served())
