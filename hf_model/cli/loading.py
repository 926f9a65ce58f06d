"""Loading the models before the first file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hf_model.cli.messages import one_line

if TYPE_CHECKING:
    from hf_model.inference import Models


class ModelError(Exception):
    """Why a model cannot be loaded."""


def load_models(arguments: argparse.Namespace, *, transcriber: bool = True) -> Models:
    """Load the models before the first file."""
    from hf_model.config import ConfigError
    from hf_model.inference import Models, default_models

    is_custom = arguments.model or arguments.sound_font
    models = Models(arguments.model, sound_font=arguments.sound_font) if is_custom else default_models()
    separator = getattr(arguments, "separator", None)
    models = models.with_separator(separator) if separator else models
    try:
        _ = models.transcriber if transcriber else None
        _ = None if getattr(arguments, "no_audio", False) else models.renderer(arguments.sound)
        if separator or getattr(arguments, "source", "auto") == "song":
            _ = models.separator, models.song_transcriber
    except (OSError, ConfigError, RuntimeError, KeyError, ValueError) as error:
        is_missing = isinstance(error.__cause__, ModuleNotFoundError)  # the message says what to install
        msg = one_line(error) if is_missing else f"the model cannot be loaded: {one_line(error)}"
        raise ModelError(msg) from error
    return models
