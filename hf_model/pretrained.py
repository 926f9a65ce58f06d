"""Model folders: saving and loading ``config.json`` and ``model.safetensors``."""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from hf_model.config import ConfigError, from_mapping, to_mapping
from hf_model.files import replacing, write_json
from hf_model.hub import model_folder, push_folder
from hf_model.weights import (
    CONFIG,
    DIGEST,
    WEIGHTS_FILE,
    WeightsError,
    damaged,
    read_config,
    read_model_file,
    remedy,
)

__all__ = ["Pretrained", "WeightsError", "part_of_config", "publish", "read_config"]

C = TypeVar("C")
M = TypeVar("M", bound="Pretrained")


class Pretrained(nn.Module):
    """Base class of networks whose constructor takes one settings dataclass, ``config``.

    Attributes
    ----------
    facts : dict
        Further content of ``config.json``: training data, decoder settings, validation metrics.
    """

    config_class: ClassVar[type[Any]]
    kind: ClassVar[str]

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.facts: dict[str, Any] = {}

    def save_pretrained(self, folder: Path | str, **extra: Any) -> None:
        """Write ``config.json``, with the SHA-256 of the weights, and ``model.safetensors``.

        Parameters
        ----------
        folder : path
            Created if missing.
        **extra
            Plain values for ``config.json``, which replace those of the same name in ``facts``.

        Raises
        ------
        WeightsError
            If weights are NaN or infinite; nothing is written.
        """
        settings = {"kind": self.kind, "model": to_mapping(self.config), **self.facts, **extra}
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        write_model(Path(folder), settings, state)

    @classmethod
    def from_pretrained(cls: type[M], folder: Path | str, *, revision: str | None = None) -> M:
        """Load a model of :meth:`save_pretrained`, in evaluation mode, on the CPU.

        Parameters
        ----------
        folder : path or str
            A folder, or ``owner/name`` on the Hugging Face Hub (see :func:`hf_model.hub.model_folder`).
        revision : str, optional
            Branch, tag or commit on the Hub.

        Raises
        ------
        FileNotFoundError
            If the folder has no model.
        HubError
            If the Hub has no model of that name, or cannot be reached.
        ConfigError
            If it is another kind of model, or has settings unknown to this version.
        WeightsError
            If the weights are damaged, belong to another ``config.json``, or contain NaN or infinite values.
        """
        source = model_folder(folder, revision)
        settings = read_config(source)
        if settings.get("kind") != cls.kind:
            msg = f"{source} holds a {settings.get('kind')!r} model, expected {cls.kind!r}"
            raise ConfigError(msg)
        if "model" not in settings:
            msg = f"{source / CONFIG} has no settings of the model (key 'model'); {remedy(source)}"
            raise ConfigError(msg)
        model = cls(part_of_config(cls.config_class, source, settings, "model"))
        state = _read_weights(source, settings)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            msg = f"{source / WEIGHTS_FILE} does not match {CONFIG}: {' '.join(str(error).split())}; {remedy(source)}"
            raise WeightsError(msg) from error
        model.facts = {name: value for name, value in settings.items() if name not in ("kind", "model", DIGEST)}
        return model.eval()

    def push_to_hub(
        self, name: str, *, private: bool = False, token: str | None = None, message: str | None = None, **extra: Any
    ) -> str:
        """Save to ``owner/name`` on the Hugging Face Hub, and return the URL of the commit.

        Parameters as for :func:`hf_model.hub.push_folder` and :meth:`save_pretrained`.
        """
        with tempfile.TemporaryDirectory(prefix="hummingface-") as folder:
            self.save_pretrained(folder, **extra)
            return push_folder(folder, name, private=private, token=token, message=message)


def part_of_config(cls: type[C], folder: Path | str, settings: Mapping[str, Any], name: str) -> C:
    """Build the settings dataclass of one entry of ``config.json``, with defaults if there is none.

    Raises
    ------
    ConfigError
        For unknown or impossible settings; the message names the file.
    """
    try:
        return from_mapping(cls, settings.get(name, {}), name)
    except ConfigError as error:
        msg = f"{Path(folder) / CONFIG}: {error}; {remedy(folder)}"
        raise ConfigError(msg) from error


def _read_weights(folder: Path, settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """Read ``model.safetensors``."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = folder / WEIGHTS_FILE
    content = read_model_file(folder, WEIGHTS_FILE, settings)
    try:
        state: dict[str, Tensor] = load(content)
    except (SafetensorError, RuntimeError, LookupError, TypeError, ValueError) as error:
        raise damaged(path, error) from error
    _refuse_non_finite(path, state)
    return state


def write_model(folder: Path, settings: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Write ``config.json`` with the SHA-256 of the weights, and the weights as they are."""
    from safetensors.torch import save

    path = folder / WEIGHTS_FILE
    _refuse_non_finite(path, state)
    folder.mkdir(parents=True, exist_ok=True)
    content = save(dict(state))  # its save_file lets nobody else read the file
    with replacing(path) as partial:
        partial.write_bytes(content)
    write_json(folder / CONFIG, {**settings, DIGEST: hashlib.sha256(content).hexdigest()}, digest=True)


def _refuse_non_finite(path: Path, state: Mapping[str, Tensor]) -> None:
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            msg = f"{path}: the tensor {name} has NaN or infinite values; train the model again"
            raise WeightsError(msg)


def publish(source: Path | str, target: Path | str, **facts: Any) -> None:
    """Copy a trained model for publication, with float16 weights and their SHA-256.

    Parameters
    ----------
    source, target : path
        Model folders; other files of the target, such as its model card, are kept.
    **facts
        Added to ``config.json``: ``trained_on``, ``licence``.

    Raises
    ------
    WeightsError
        If the weights are damaged, NaN or infinite, or too large for float16.
    """
    settings = read_config(source)
    state = _read_weights(Path(source), settings)
    float16 = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    write_model(Path(target), {**settings, **facts}, float16)


def main(arguments: Sequence[str] | None = None) -> None:
    """Copy a trained model for publication: ``python -m hf_model.pretrained data/model/transcriber FOLDER``."""
    parser = argparse.ArgumentParser(prog="python -m hf_model.pretrained", description=main.__doc__)
    parser.add_argument("source", type=Path, help="model folder written by the training")
    parser.add_argument("target", type=Path, help="folder to write; weights in it are replaced")
    parser.add_argument("--trained-on", required=True, help="description of the training data, for config.json")
    parser.add_argument("--licence", default="MIT")
    chosen = parser.parse_args(arguments)
    publish(chosen.source, chosen.target, trained_on=chosen.trained_on, licence=chosen.licence)


if __name__ == "__main__":
    main()
