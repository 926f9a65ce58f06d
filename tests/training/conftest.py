"""Shared by the tests of the training: tiny shards, and for each model a training that nothing interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_shards import tiny_task


@pytest.fixture(scope="session")
def uninterrupted(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Any]]:
    """For each kind of model: the folder of an uninterrupted training, and its figures."""
    from hf_model.training.trainer import train

    done: dict[str, tuple[Path, Any]] = {}

    def of(kind: str) -> tuple[Path, Any]:
        if kind not in done:
            folder = tmp_path_factory.mktemp(kind)
            places = folder / "model", folder / "checkpoints"
            done[kind] = folder, train(tiny_task(kind), shards, *places, progress=False, checkpoint_every=2)
        return done[kind]

    return of
