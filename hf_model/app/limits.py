"""What the page accepts: how much, how long, how many; and what it says when it will not go on."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1 << 20


class PageError(Exception):
    """Why the page cannot do what was asked: a sentence for the visitor, without a path."""


@dataclass(frozen=True)
class Limits:
    """The page's limits: what one visitor may ask for, and what all of them may hold together.

    Attributes
    ----------
    part_seconds : float
        Longest part that is converted at a time.
    whole_seconds : float
        Longest recording of which a part may be chosen.
    upload_bytes : int
    upload_seconds : float
        How long an upload may take.
    decode_seconds : float
        How long a file may take to be decoded.
    decode_bytes : int
        Memory that decoding may take beyond what the decoder starts with.
    notes : int
        Notes that may be played.
    sessions : int
        Recordings kept at a time.
    disk_bytes : int
        Bytes that all recordings kept may take.
    spare_seconds : float
        A recording untouched for so long is deleted when another one needs its place.
    idle_seconds : float
        A recording untouched for so long is deleted in any case.
    waiting : int
        Conversions that may wait in line.
    """

    part_seconds: float = 60.0
    whole_seconds: float = 600.0
    upload_bytes: int = 64 * MEBIBYTE
    upload_seconds: float = 120.0
    decode_seconds: float = 20.0
    decode_bytes: int = 1024 * MEBIBYTE
    notes: int = 1000
    sessions: int = 64
    disk_bytes: int = 2048 * MEBIBYTE
    spare_seconds: float = 60.0
    idle_seconds: float = 1200.0
    waiting: int = 40

    def told(self) -> dict[str, float]:
        """Give what the page itself must know."""
        return {
            "partSeconds": self.part_seconds,
            "uploadBytes": self.upload_bytes,
            "idleMinutes": round(self.idle_seconds / 60),
        }


def spoken(seconds: float) -> str:
    """Say a duration: "a minute", "10 minutes", "45 seconds"."""
    if seconds == 60:
        return "a minute"
    return f"{seconds / 60:g} minutes" if seconds % 30 == 0 and seconds > 60 else f"{seconds:g} seconds"
