"""The network of instruments served by MLflow: the bytes of audio files in, probabilities of instruments out.

MLflow stores this file with every model and runs it when the model is loaded (models from code).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class ServedIdentifier(PythonModel):
    """``hummingface identify`` behind ``mlflow.pyfunc``."""

    def load_context(self, context: Any) -> None:
        """Load the logged network."""
        from hf_model.instruments.identifier import InstrumentIdentifier

        self.identifier = InstrumentIdentifier.from_pretrained(context.artifacts["instruments"])

    def predict(self, context: Any, model_input: list[bytes]) -> list[dict[str, float]]:  # type: ignore[override]  # noqa: ARG002
        """Give the probability of each class in audio files of at least one second, the most probable first."""
        return [dict(self._identify(content)) for content in model_input]

    def _identify(self, content: bytes) -> Any:
        from hf_model.audio.recording import read_recording

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip"
            path.write_bytes(content)
            return self.identifier.identify(read_recording(path).voice).probabilities


set_model(ServedIdentifier())
