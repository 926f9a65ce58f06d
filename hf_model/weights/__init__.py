"""The weights that ship with the package, one folder a model."""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).parent
"""The folder that holds them."""
