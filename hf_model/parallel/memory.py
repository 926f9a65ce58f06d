"""Memory of this process."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Options of mallopt."""

LARGE_BLOCK = 2**20
"""Bytes."""


def release_freed_memory() -> None:
    """Give memory that was freed back to the system, which glibc puts off; does nothing elsewhere."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def prefer_little_memory() -> None:
    """Give large blocks back to the system as soon as they are freed, from now on; does nothing without glibc.

    It takes a third more time, and a quarter less memory for long recordings: glibc otherwise keeps ever larger blocks.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
                ctypes.CDLL(None).mallopt(option, LARGE_BLOCK)
