"""The limits of the page: sizes, durations and counts, and the error for users."""

from __future__ import annotations

from dataclasses import dataclass

from hf_model.music.remarks import UNSURE

MEBIBYTE = 1 << 20


class PageError(Exception):
    """Why a request failed: a sentence for the user, without a path."""


class BusyError(PageError):
    """Why a request cannot be served now, but may be later."""


@dataclass(frozen=True)
class Limits:
    """Limits for one user, and for all users together.

    Attributes
    ----------
    part_seconds : float
        Longest part that is converted at once.
    whole_seconds : float
        Longest recording of which a part may be selected.
    upload_bytes : int
    upload_seconds : float
        Longest time for an upload.
    body_seconds : float
        Longest time for the body of any other request.
    decode_seconds : float
        Longest time to decode a file.
    decode_bytes : int
        Memory for decoding, beyond that of the decoder when it starts.
    score_seconds : float
        Longest time to write or to engrave a score.
    notes, voices : int
        Most notes to render, and most of them that sound at once: a melody has one voice.
    sessions, sessions_per_client : int
        Most recordings kept at once, of all clients and of one.
    disk_bytes : int
        Most bytes of all recordings kept.
    spare_seconds : float
        A recording unused for so long is deleted when another one needs the space.
    idle_seconds : float
        A recording unused for so long is deleted.
    waiting, waiting_per_client : int
        Most jobs waiting in the queue, of all clients and of one.
    late : int
        Most scores and covers waiting to be written.
    live, live_per_client : int
        Most recordings that are transcribed while they arrive, of all clients and of one.
    live_silence_seconds : float
        Such a recording is dropped when nothing has arrived for so long.
    """

    part_seconds: float = 300.0
    whole_seconds: float = 600.0
    upload_bytes: int = 64 * MEBIBYTE
    upload_seconds: float = 120.0
    body_seconds: float = 10.0
    decode_seconds: float = 20.0
    decode_bytes: int = 1024 * MEBIBYTE
    score_seconds: float = 20.0
    notes: int = 3000
    voices: int = 4
    sessions: int = 64
    sessions_per_client: int = 24
    disk_bytes: int = 2048 * MEBIBYTE
    spare_seconds: float = 60.0
    idle_seconds: float = 1200.0
    waiting: int = 40
    waiting_per_client: int = 24
    late: int = 100
    live: int = 4
    live_per_client: int = 2
    live_silence_seconds: float = 30.0

    def as_mapping(self) -> dict[str, float]:
        """Give the limits that the browser checks, and the confidence below which a note is uncertain."""
        return {
            "partSeconds": self.part_seconds,
            "uploadBytes": self.upload_bytes,
            "idleMinutes": round(self.idle_seconds / 60),
            "uncertain": UNSURE,
        }


def format_duration(seconds: float) -> str:
    """Write a duration: "a minute", "10 minutes", "45 seconds"."""
    if seconds == 60:
        return "a minute"
    return f"{seconds / 60:g} minutes" if seconds % 30 == 0 and seconds > 60 else f"{seconds:g} seconds"
