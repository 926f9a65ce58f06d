"""Conversion of Spleeter's variables: every one gets its place; what is not such a model is refused."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from hf_model.onnx.session import Session
from hf_model.separator.convert_spleeter import convert, main
from hf_model.separator.separator import Separator

CHANNELS = (4, 6)


def make_variables() -> dict[str, np.ndarray]:
    """Variables of two U-Nets with two convolutions, named as TensorFlow names them; all values differ."""
    rng = np.random.default_rng(0)
    variables: dict[str, np.ndarray] = {}

    def add(name: str, **parts: tuple[int, ...]) -> None:
        for part, shape in parts.items():
            positive = part in ("moving_variance", "gamma")
            values = rng.uniform(0.5, 1.5, shape) if positive else rng.normal(0.0, 0.3, shape)
            variables[f"{name}.{part}"] = values.astype(np.float16)

    for half in range(2):
        for index, (a, b) in enumerate([(2, 4), (4, 6)]):
            add(numbered("conv2d", 3 * half + index), kernel=(5, 5, a, b), bias=(b,))
        add(numbered("conv2d", 3 * half + 2), kernel=(4, 4, 1, 2), bias=(2,))
        for index, (a, b) in enumerate([(6, 4), (8, 1)]):
            add(numbered("conv2d_transpose", 2 * half + index), kernel=(5, 5, b, a), bias=(b,))
        for index, width in enumerate((4, 6, 4, 1)):
            name = numbered("batch_normalization", 4 * half + index)
            add(name, gamma=(width,), beta=(width,), moving_mean=(width,), moving_variance=(width,))
    variables["global_step"] = np.float16(1.0)
    return variables


def numbered(name: str, index: int) -> str:
    return f"{name}_{index}" if index else name


def expected_mask(variables: Mapping[str, np.ndarray], half: int, magnitude: torch.Tensor) -> torch.Tensor:
    """The network written out, layer by layer, in the checkpoint's own names."""

    def tensor(name: str) -> torch.Tensor:
        return torch.from_numpy(variables[name].astype(np.float32))

    def conv(index: int, x: torch.Tensor, **options: int) -> torch.Tensor:
        name = numbered("conv2d", 3 * half + index)
        return F.conv2d(x, tensor(f"{name}.kernel").permute(3, 2, 0, 1), tensor(f"{name}.bias"), **options)

    def up(index: int, x: torch.Tensor) -> torch.Tensor:
        name = numbered("conv2d_transpose", 2 * half + index)
        kernel = tensor(f"{name}.kernel").permute(3, 2, 0, 1)
        full = F.conv_transpose2d(x, kernel, tensor(f"{name}.bias"), stride=2)
        return F.relu(full[:, :, 1:-2, 1:-2])

    def norm(index: int, x: torch.Tensor) -> torch.Tensor:
        parts = ("moving_mean", "moving_variance", "gamma", "beta")
        values = [tensor(f"{numbered('batch_normalization', 4 * half + index)}.{part}") for part in parts]
        return F.batch_norm(x, *values, eps=1e-3)

    first = conv(0, F.pad(magnitude, (1, 2, 1, 2)), stride=2)
    second = conv(1, F.pad(F.leaky_relu(norm(0, first), 0.2), (1, 2, 1, 2)), stride=2)
    merged = torch.cat([first, norm(2, up(0, second))], dim=1)
    last = norm(3, up(1, merged))
    return torch.sigmoid(conv(2, F.pad(last, (3, 3, 3, 3)), dilation=2))


@torch.inference_mode()
def test_every_variable_gets_its_place():
    variables = make_variables()
    separator = convert(variables)
    assert separator.config.channels == CHANNELS
    magnitude = torch.rand(1, 2, 8, 12)
    for half, network in enumerate((separator.voice, separator.accompaniment)):
        torch.testing.assert_close(network(magnitude), expected_mask(variables, half, magnitude), atol=1e-5, rtol=0)


@pytest.mark.parametrize("missing", ["conv2d_5.bias", "batch_normalization_6.beta", "conv2d_transpose_3.kernel"])
def test_a_missing_variable_is_named(missing):
    variables = make_variables()
    del variables[missing]
    with pytest.raises(ValueError, match="not those of Spleeter's two-stems model"):
        convert(variables)


def test_other_shapes_are_refused():
    variables = make_variables()
    variables["conv2d_4.kernel"] = np.zeros((5, 5, 4, 7), np.float16)
    with pytest.raises(ValueError, match="not those of Spleeter"):
        convert(variables)


def test_the_command_writes_a_model_folder_and_keeps_the_card(tmp_path):
    np.savez(tmp_path / "two.npz", **make_variables())
    card = tmp_path / "model" / "README.md"
    card.parent.mkdir()
    card.write_text("card", encoding="utf-8")
    main([str(tmp_path / "two.npz"), str(card.parent)])
    assert card.read_text(encoding="utf-8") == "card"
    loaded = Separator.from_pretrained(card.parent)
    assert "doi 10.21105/joss.02154" in loaded.facts["licence"]
    rounded = convert(make_variables()).rounded()
    magnitude = torch.rand(1, 2, 8, rounded.config.n_bins)
    with torch.inference_mode():
        expected = rounded(magnitude).numpy()
    (mask,) = Session((card.parent / "model.onnx").read_bytes()).run(magnitude=magnitude.numpy())
    np.testing.assert_allclose(mask, expected, atol=1e-4)
    assert sorted(path.name for path in card.parent.iterdir()) == ["README.md", "config.json", "model.onnx"]
