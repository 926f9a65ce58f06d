"""The precision in which networks are computed on a processor."""

from __future__ import annotations

import torch


def fast_dtype() -> torch.dtype:
    """Return the fastest precision of convolutions: bfloat16 if the processor has instructions for it."""
    is_fast = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return torch.bfloat16 if is_fast else torch.float32
