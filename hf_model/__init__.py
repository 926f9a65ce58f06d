"""HummingFace: a sung or hummed melody in, the same melody on a piano out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_model.audio.io import read_audio
    from hf_model.inference import Rendition, convert, listen, render, transcribe
    from hf_model.music.arrangement import Arranged, Arrangement, arrange
    from hf_model.music.key import Key, estimate_key
    from hf_model.music.quantization import quantize
    from hf_model.music.simplification import simplify
    from hf_model.music.tempo import Tempo, estimate_tempo
    from hf_model.notes.note import Note
    from hf_model.piano.performance import Performance

__version__ = "0.1.0"

__all__ = [
    "Arranged",
    "Arrangement",
    "Key",
    "Note",
    "Performance",
    "Rendition",
    "Tempo",
    "__version__",
    "arrange",
    "convert",
    "estimate_key",
    "estimate_tempo",
    "listen",
    "quantize",
    "read_audio",
    "render",
    "simplify",
    "transcribe",
]

_MODULES = {
    "Arranged": "hf_model.music.arrangement",
    "Arrangement": "hf_model.music.arrangement",
    "Key": "hf_model.music.key",
    "Note": "hf_model.notes.note",
    "Performance": "hf_model.piano.performance",
    "Rendition": "hf_model.inference",
    "Tempo": "hf_model.music.tempo",
    "arrange": "hf_model.music.arrangement",
    "convert": "hf_model.inference",
    "estimate_key": "hf_model.music.key",
    "estimate_tempo": "hf_model.music.tempo",
    "listen": "hf_model.inference",
    "quantize": "hf_model.music.quantization",
    "read_audio": "hf_model.audio.io",
    "render": "hf_model.inference",
    "simplify": "hf_model.music.simplification",
    "transcribe": "hf_model.inference",
}


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `hummingface --help` does not wait for torch."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    msg = f"module 'hf_model' has no attribute {name!r}"
    raise AttributeError(msg)
