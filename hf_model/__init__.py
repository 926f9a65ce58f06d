"""HummingFace: a sung or hummed melody in, the same melody on a piano out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_model.inference import Rendition, convert, transcribe
    from hf_model.notes import Note

__version__ = "0.1.0"

__all__ = ["Note", "Rendition", "__version__", "convert", "transcribe"]

_HOMES = {
    "Note": "hf_model.notes",
    "Rendition": "hf_model.inference",
    "convert": "hf_model.inference",
    "transcribe": "hf_model.inference",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are asked for: `hummingface --help` must not wait for torch."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    msg = f"module 'hf_model' has no attribute {name!r}"
    raise AttributeError(msg)
