"""Networks in model folders: ``config.json``, the weights, and what is exported from them for inference."""

from __future__ import annotations

import argparse
import copy
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from hf_model.config import to_mapping
from hf_model.files import replacing
from hf_model.hub import model_folder, push_folder
from hf_model.onnx.export import NETWORKS, Graph, export_folder, export_graph, write_graphs
from hf_model.weights import (
    DIGEST,
    DIGESTS,
    WEIGHTS_FILE,
    WeightsError,
    damaged,
    part_of_config,
    read_config,
    read_kind,
    read_model_file,
    remedy,
)

M = TypeVar("M", bound="Pretrained")


class Pretrained(nn.Module):
    """Base class of networks, for training: the constructor takes one settings dataclass, ``config``.

    For inference, a network is exported to ONNX; what runs without torch is based on
    :class:`hf_model.onnx.model.OnnxModel`.

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
        """Write ``model.safetensors``, what :meth:`export` gives, and ``config.json`` with the SHA-256 of these files.

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
        refuse_non_finite(Path(folder) / WEIGHTS_FILE, state)
        write_model(Path(folder), settings, state, self.export())

    def graphs(self) -> Mapping[str, Graph]:
        """Give what inference needs, by file name; nothing for a network that is only trained and compared with."""
        return {}

    def export(self) -> dict[str, bytes]:
        """Convert the network to ONNX, with its current weights: the content of each file of :meth:`graphs`."""
        network = copy.deepcopy(self).cpu().eval()
        return {name: export_graph(graph) for name, graph in network.graphs().items()}

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
        settings = read_kind(source, cls.kind)
        model = cls(part_of_config(cls.config_class, source, settings, "model"))
        state = _read_weights(source, settings)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            msg = (
                f"{source / WEIGHTS_FILE} does not match config.json: {' '.join(str(error).split())}; {remedy(source)}"
            )
            raise WeightsError(msg) from error
        model.facts = {
            name: value for name, value in settings.items() if name not in ("kind", "model", DIGEST, DIGESTS)
        }
        return model.eval()

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = False,
        token: str | None = None,
        commit_message: str | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        **extra: Any,
    ) -> str:
        """Save to ``owner/name`` on the Hugging Face Hub, and return the URL of the commit.

        Parameters as for :func:`hf_model.hub.push_folder` and :meth:`save_pretrained`.
        """
        with tempfile.TemporaryDirectory(prefix="hummingface-") as folder:
            self.save_pretrained(folder, **extra)
            return push_folder(
                folder,
                repo_id,
                private=private,
                token=token,
                commit_message=commit_message,
                revision=revision,
                create_pr=create_pr,
            )


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
    refuse_non_finite(path, state)
    return state


def write_model(
    folder: Path, settings: Mapping[str, Any], state: Mapping[str, Tensor], graphs: Mapping[str, bytes] | None = None
) -> None:
    """Write the weights as they are, exported networks by file name, and ``config.json`` with the SHA-256 of all."""
    from safetensors.torch import save

    path = folder / WEIGHTS_FILE
    refuse_non_finite(path, state)
    folder.mkdir(parents=True, exist_ok=True)
    content = save(dict(state))  # its save_file lets nobody else read the file
    with replacing(path) as partial:
        partial.write_bytes(content)
    write_graphs(folder, {**settings, DIGEST: hashlib.sha256(content).hexdigest()}, graphs or {})


def refuse_non_finite(path: Path, state: Mapping[str, Tensor]) -> None:
    """Raise WeightsError, with the path that the weights are read from or written to, for NaN and infinite values."""
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            msg = f"{path}: the tensor {name} has NaN or infinite values; train the model again"
            raise WeightsError(msg)


def publish(source: Path | str, target: Path | str, **facts: Any) -> None:
    """Copy a trained model for publication, with float16 weights, and export it.

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
    settings.pop(DIGESTS, None)  # of the export from other weights
    float16 = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    write_model(Path(target), {**settings, **facts}, float16)
    if settings.get("kind") in NETWORKS:
        export_folder(target)


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
