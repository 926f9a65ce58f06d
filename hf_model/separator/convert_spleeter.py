"""Conversion of the weights of Spleeter's two-stems model."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_model.config import to_mapping
from hf_model.onnx.export import write_graphs
from hf_model.separator.config import SeparatorConfig
from hf_model.separator.network import SeparatorNetwork

Variables = Mapping[str, NDArray[Any]]

NORM_PARTS = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def convert(variables: Variables) -> SeparatorNetwork:
    """Build the separator from the variables of the checkpoint.

    Parameters
    ----------
    variables : mapping
        Names as in the checkpoint: ``conv2d*``, ``conv2d_transpose*`` and ``batch_normalization*``, each numbered
        from the voice's first layer to the accompaniment's last. Kernels are (row, column, input, output), those of
        transposed convolutions (row, column, output, input).

    Raises
    ------
    ValueError
        If a variable is missing, or the shapes are not those of a U-Net of this kind.
    """
    try:
        layers = sum(name.startswith("conv2d_transpose") and name.endswith(".kernel") for name in variables)
        depth = (layers + 1) // 2
        channels = tuple(variables[f"{_name('conv2d', index)}.kernel"].shape[-1] for index in range(depth))
        separator = SeparatorNetwork(SeparatorConfig(channels))
        state = {}
        for half, network in enumerate(("voice", "accompaniment")):
            for name, tensor in _network(variables, half, depth).items():
                state[f"{network}.{name}"] = tensor
        separator.load_state_dict(state, strict=False)
        _check_complete(separator, state)
    except (KeyError, RuntimeError) as error:
        msg = f"the variables are not those of Spleeter's two-stems model: {' '.join(str(error).split())}"
        raise ValueError(msg) from error
    return separator.eval()


def _network(variables: Variables, half: int, depth: int) -> dict[str, Tensor]:
    """Tensors of one U-Net by their names in :class:`hf_model.separator.unet.UNet`."""
    state: dict[str, Tensor] = {}
    for index in range(depth + 1):
        name = _name("conv2d", half * (depth + 1) + index)
        layer = f"encoder.{index}" if index < depth else "mask"
        state[f"{layer}.weight"] = _tensor(variables[f"{name}.kernel"]).permute(3, 2, 0, 1).contiguous()
        state[f"{layer}.bias"] = _tensor(variables[f"{name}.bias"])
    for index in range(depth):
        name = _name("conv2d_transpose", half * depth + index)
        state[f"decoder.{index}.weight"] = _tensor(variables[f"{name}.kernel"]).permute(3, 2, 0, 1).contiguous()
        state[f"decoder.{index}.bias"] = _tensor(variables[f"{name}.bias"])
    for index in range(2 * depth):
        if index == depth - 1:
            continue  # follows the innermost convolution; the decoder takes that one's output without it
        name = _name("batch_normalization", half * 2 * depth + index)
        norm = f"encoder_norms.{index}" if index < depth else f"decoder_norms.{index - depth}"
        for part, ours in NORM_PARTS.items():
            state[f"{norm}.{ours}"] = _tensor(variables[f"{name}.{part}"])
    return state


def _name(kind: str, index: int) -> str:
    return f"{kind}_{index}" if index else kind


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def _check_complete(separator: SeparatorNetwork, state: Mapping[str, Tensor]) -> None:
    missing = {name for name in separator.state_dict() if not name.endswith("num_batches_tracked")} ^ set(state)
    if missing:
        raise KeyError(sorted(missing)[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert Spleeter's two-stems weights: ``python -m hf_model.separator.convert_spleeter NPZ FOLDER``."""
    parser = argparse.ArgumentParser(prog="python -m hf_model.separator.convert_spleeter", description=main.__doc__)
    parser.add_argument("npz", type=Path, help="the variables of the checkpoint by name, as numpy.savez writes them")
    parser.add_argument("folder", type=Path, help="model folder to write; its model card is kept")
    chosen = parser.parse_args(arguments)
    with np.load(chosen.npz) as variables:
        separator = convert(variables)
    settings = {"kind": SeparatorNetwork.kind, "model": to_mapping(separator.config), **FACTS}
    write_graphs(chosen.folder, settings, separator.export())


FACTS = {
    "source": "deezer/spleeter, 2stems",
    "licence": "MIT according to the authors' paper (doi 10.21105/joss.02154); see the model card",
    "trained_on": "internal data sets of Deezer, by the authors of Spleeter",
}

if __name__ == "__main__":
    main()
