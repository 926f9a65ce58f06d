"""Choice of the separator: the one that ships, another model's folder, none, or demucs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hf_model.config import ConfigError
from hf_model.weights import WEIGHTS

DEFAULT, NONE, DEMUCS = "default", "none", "demucs"

ACCEPT = "HUMMINGFACE_ACCEPT_LICENSE"
"""Environment variable: names of models, separated by commas, whose licence the user accepts."""


class SeparatorLike(Protocol):
    """The part of a separator's interface that is used by the program."""

    def separate(self, blocks: Iterable[NDArray[np.float32]], /) -> Iterator[NDArray[np.float32]]:
        """Extract the voice from blocks (2, sample) at 44.1 kHz; in total as many samples."""
        ...


class NoSeparator:
    """Takes the whole recording for the voice."""

    def separate(self, blocks: Iterable[NDArray[np.float32]], /) -> Iterator[NDArray[np.float32]]:
        """Yield the blocks."""
        yield from blocks


def load_separator(name: Path | str = DEFAULT, *, accept_license: bool = False) -> SeparatorLike:
    """Load a separator.

    Parameters
    ----------
    name : path or str
        "default", the one that ships; "none", which leaves recordings as they are; "demucs", if that package is
        installed; a model folder; or ``owner/name`` on the Hugging Face Hub.
    accept_license : bool
        Accept the terms of demucs' weights. Another way is ``HUMMINGFACE_ACCEPT_LICENSE=demucs`` in the environment.

    Raises
    ------
    FileNotFoundError
        If the folder has no model.
    HubError
        If the Hub has no model of that name, or cannot be reached.
    ConfigError
        If it is another kind of model, the terms of demucs' weights are not accepted, or it is not installed.
    WeightsError
        If the weights are damaged.
    """
    if name == NONE:
        return NoSeparator()
    if name == DEMUCS:
        return _load_demucs(accept_license or DEMUCS in os.environ.get(ACCEPT, "").split(","))
    from hf_model.separator.separator import Separator

    return Separator.from_pretrained(WEIGHTS / "separator" if name == DEFAULT else name)


def _load_demucs(is_accepted: bool) -> SeparatorLike:
    if not is_accepted:
        msg = (
            "the separator demucs has weights for scientific use only (trained on MUSDB18-HQ and other recordings); "
            f"to accept that, set {ACCEPT}={DEMUCS}"
        )
        raise ConfigError(msg)
    try:
        from hf_model.separator.demucs import Demucs
    except ImportError as error:
        msg = f"the separator demucs is not installed ({error}): pip install demucs"
        raise ConfigError(msg) from error
    return Demucs()
