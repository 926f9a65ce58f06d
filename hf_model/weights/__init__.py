"""The weights that ship, one folder a model, and the reading of model folders without torch.

The ``config.json`` of a folder has the SHA-256 of its other files, which is compared when they are read: of
``model.safetensors`` as ``weights_sha256``, of others in the mapping ``sha256``; and that of its own content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hf_model.config import ConfigError, from_mapping
from hf_model.files import read_json, replacing, write_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTS = Path(__file__).parent
"""Folder of the models."""

CONFIG, WEIGHTS_FILE, DIGEST, DIGESTS = "config.json", "model.safetensors", "weights_sha256", "sha256"
REMEDY = "copy, download or train the model again"
REINSTALL = "install the package again"


C = TypeVar("C")


class WeightsError(ValueError):
    """Weights are damaged, belong to another ``config.json``, or contain NaN or infinite values."""


def remedy(folder: Path | str) -> str:
    """Say how to mend a model folder: one of the package is installed again."""
    return REINSTALL if Path(folder).resolve().is_relative_to(WEIGHTS.resolve()) else REMEDY


def read_config(folder: Path | str) -> dict[str, Any]:
    """Read the ``config.json`` of a model folder.

    Raises
    ------
    FileNotFoundError
        If the folder has no model.
    ConfigError
        If the file is not a JSON object.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        msg = f"no model in {folder}: {CONFIG} is missing"
        raise FileNotFoundError(msg)
    return read_json(path, remedy(folder))


def read_kind(folder: Path | str, kind: str) -> dict[str, Any]:
    """Read the ``config.json`` of a model of some kind that is built from the settings ``model``.

    Raises
    ------
    FileNotFoundError
        If the folder has no model.
    ConfigError
        If the file is damaged, or describes another kind of model.
    """
    settings = read_config(folder)
    if settings.get("kind") != kind:
        msg = f"{folder} holds a {settings.get('kind')!r} model, expected {kind!r}"
        raise ConfigError(msg)
    if "model" not in settings:
        msg = f"{Path(folder) / CONFIG} has no settings of the model (key 'model'); {remedy(folder)}"
        raise ConfigError(msg)
    return settings


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


def read_model_file(folder: Path | str, name: str = WEIGHTS_FILE, settings: Mapping[str, Any] | None = None) -> bytes:
    """Read a file of a model folder, and compare it with its digest, which older folders do not have.

    Parameters
    ----------
    folder : path
    name : str
    settings : mapping, optional
        The content of ``config.json``, if it is known.

    Raises
    ------
    FileNotFoundError
        If it is missing.
    ConfigError
        If ``config.json`` is damaged.
    WeightsError
        If the file is damaged or belongs to another ``config.json``.
    """
    path = Path(folder) / name
    settings = read_config(folder) if settings is None else settings
    if not path.is_file():
        msg = f"no model in {folder}: {name} is missing"
        raise FileNotFoundError(msg)
    content, key = path.read_bytes(), DIGEST
    expected = settings.get(DIGEST)
    if name != WEIGHTS_FILE:
        key, digests = f"{DIGESTS}.{name}", settings.get(DIGESTS)
        expected = digests.get(name) if isinstance(digests, Mapping) else None
    if expected is not None and hashlib.sha256(content).hexdigest() != expected:
        msg = f"{path} is damaged or belongs to another {CONFIG} ({key} differs); {remedy(folder)}"
        raise WeightsError(msg)
    return content


def damaged(path: Path, error: Exception) -> WeightsError:
    """Say that a file which cannot be decoded is damaged."""
    return WeightsError(f"{path} is damaged ({' '.join(str(error).split())}); {remedy(path.parent)}")


def read_tensors(folder: Path | str, settings: Mapping[str, Any] | None = None) -> dict[str, NDArray[Any]]:
    """Read ``model.safetensors`` as arrays.

    Raises
    ------
    FileNotFoundError, ConfigError, WeightsError
        As :func:`read_model_file`.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = read_model_file(folder, WEIGHTS_FILE, settings)
    try:
        tensors: dict[str, NDArray[Any]] = load(content)
    except (SafetensorError, LookupError, TypeError, ValueError) as error:
        raise damaged(Path(folder) / WEIGHTS_FILE, error) from error
    return tensors


def write_tensors(folder: Path | str, tensors: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]) -> None:
    """Write ``model.safetensors``, and ``config.json`` with its digest."""
    from numpy import require
    from safetensors.numpy import save

    # safetensors writes the memory of a transposed array as it lies, in the wrong order
    content = save({name: require(tensor, requirements="C") for name, tensor in tensors.items()})
    Path(folder).mkdir(parents=True, exist_ok=True)
    with replacing(Path(folder) / WEIGHTS_FILE) as partial:
        partial.write_bytes(content)
    write_json(Path(folder) / CONFIG, {**settings, DIGEST: hashlib.sha256(content).hexdigest()}, digest=True)
