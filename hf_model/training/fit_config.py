"""Settings of a training: steps, batches, learning rate, validation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hf_model.config import check_choice, check_range


@dataclass(frozen=True)
class FitConfig:
    """Settings of a training.

    Attributes
    ----------
    steps, warmup_steps : int
        Optimizer steps; the learning rate rises over the warm-up and falls along a cosine.
    batch_size : int
        Crops a step, of all processes together.
    crop_frames : int
        Frames of a crop (100 a second).
    learning_rate, weight_decay, clip : float
        AdamW's, and the largest norm of the gradient.
    floor : float
        Final learning rate as a share of the full one. A higher one averages over more different weights (``ema``),
        which generalises better to other recordings.
    ema : float
        Decay of the exponential moving average of the weights, which is what is validated and saved.
    keep : str
        Final weights: "best", the moving average with the best validation, or "mean", the mean of all validated moving
        averages. After long training the last weights overfit; the mean with earlier ones does so less.
    validate_every : int
        Steps between validations; the last step is validated as well.
    patience : int
        Validations without improvement before training stops.
    valid_segments : int
        Segments of the valid split that are used.
    precision : str
        "bf16", which is float32 on a processor without instructions for it, or "float32".
    corpora : tuple of str
        Only these; all when empty.
    repeats : dict of str to int
        Times that a corpus occurs in an epoch; 1 for others. A singer (``singer`` in the manifest of the pairs) may
        have a number of their own, so that none outweighs the others.
    seed : int
        Seed of the initial weights, the order of the examples, and all random numbers of the training.
    """

    steps: int = 400
    warmup_steps: int = 50
    batch_size: int = 16
    crop_frames: int = 400
    learning_rate: float = 2.0e-3
    floor: float = 0.01
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.98
    keep: str = "best"
    validate_every: int = 100
    patience: int = 10
    valid_segments: int = 64
    precision: str = "bf16"
    corpora: tuple[str, ...] = ()
    repeats: dict[str, int] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("steps", "batch_size", "validate_every", "patience", "valid_segments"):
            check_range(name, getattr(self, name), 1, 100_000_000)
        check_range("warmup_steps", self.warmup_steps, 0, 100_000_000)
        check_range("crop_frames", self.crop_frames, 32, 100_000)
        check_range("learning_rate", self.learning_rate, 1e-8, 1.0)
        check_range("floor", self.floor, 0.0, 1.0)
        check_range("weight_decay", self.weight_decay, 0.0, 10.0)
        check_range("clip", self.clip, 1e-6, 1e6)
        check_range("ema", self.ema, 0.0, 0.99999)
        check_range("seed", self.seed, 0, 2**63 - 1)
        for corpus, count in self.repeats.items():
            check_range(f"repeats.{corpus}", count, 1, 1000)
        check_choice("keep", self.keep, ("best", "mean"))
        check_choice("precision", self.precision, ("bf16", "float32"))


def learning_rate_share(step: int, fit: FitConfig) -> float:
    """Compute the learning rate at a step as a share of the full one."""
    if step < fit.warmup_steps:
        return (step + 1) / fit.warmup_steps
    progress = (step - fit.warmup_steps) / max(1, fit.steps - fit.warmup_steps)
    return fit.floor + (1 - fit.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
