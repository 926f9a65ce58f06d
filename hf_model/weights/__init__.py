"""Weights shipped with the package, one folder per model."""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).parent
"""Folder of the models."""
