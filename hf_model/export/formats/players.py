"""Audio players for notebooks, as HTML that contains the sound."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray


def show_players(caption: str, sounds: Mapping[str, tuple[NDArray[np.float32], int]]) -> str:
    """Write a caption and a player for each sound.

    Parameters
    ----------
    caption : str
    sounds : mapping of name to (audio, sample rate)
        Audio (channel, sample) in [-1, 1]; Hz. Empty ones are left out.
    """
    rows = [
        f'<figure style="margin: 0.3em 0"><figcaption>{escape(name)}</figcaption>'
        f'<audio controls aria-label="{escape(name)}" src="data:audio/mpeg;base64,{_mp3(audio, sample_rate)}"></audio>'
        "</figure>"
        for name, (audio, sample_rate) in sounds.items()
        if audio.size
    ]
    return f"<div><code>{escape(caption)}</code>{''.join(rows)}</div>"


def _mp3(audio: NDArray[np.float32], sample_rate: int) -> str:
    """Encode as MP3: a megabyte a minute, where wav would add ten to the notebook."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(audio, -1.0, 1.0).T, sample_rate, format="MP3")
    return base64.b64encode(file.getvalue()).decode("ascii")
