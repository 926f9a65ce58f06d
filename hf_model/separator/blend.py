"""What a transcriber of songs is given: the separated voice and a little of the accompaniment.

A separator takes soft and unusual voices for accompaniment and mutes them; a little of everything keeps them audible.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BACKING_SHARE = 0.1
"""Gain of the accompaniment (-20 dB); the transcriber of songs is trained with the same."""


def blend(voice: NDArray[np.float32], backing: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add a share of the accompaniment to the separated voice; arrays of the same shape."""
    return np.asarray(voice + np.float32(BACKING_SHARE) * backing, dtype=np.float32)
