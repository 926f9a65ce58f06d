"""What `hummingface live` shows: a piano roll that moves, lines of text, or lines of JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hf_model.live.transcription import LiveEvent
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_name

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

SECONDS_SHOWN = 10.0
MIN_KEYS, MAX_KEYS = 12, 25
"""Rows of the piano roll."""

REFRESH_SECONDS = 0.08

BLACK = frozenset((1, 3, 6, 8, 10))


class Display:
    """Show nothing: the base of the others."""

    def begin(self, source: str, port: str) -> None:
        """Name what is listened to, and the MIDI port."""

    def show(self, event: LiveEvent) -> None:
        """Show what happened to a note."""

    def advance(self, seconds: float, block: NDArray[np.float32]) -> None:
        """Show the time and the level of the sound."""

    def end(self) -> None:
        """Leave the screen as it is."""


class UntilClosed(Display):
    """Another display, until the reader of the output has gone: the recording goes on without it."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def _try(self, show: Callable[[Display], None]) -> None:
        try:
            show(self._display)
        except BrokenPipeError:
            self._display = Display()

    def begin(self, source: str, port: str) -> None:
        """Begin the display."""
        self._try(lambda display: display.begin(source, port))

    def show(self, event: LiveEvent) -> None:
        """Show an event."""
        self._try(lambda display: display.show(event))

    def advance(self, seconds: float, block: NDArray[np.float32]) -> None:
        """Show the time."""
        self._try(lambda display: display.advance(seconds, block))

    def end(self) -> None:
        """End the display."""
        self._try(lambda display: display.end())


class TextDisplay(Display):
    """A line for every event: time, what happened, the key, and for a note that ended or is final its times.

    Parameters
    ----------
    write : callable
        Takes a line.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def begin(self, source: str, port: str) -> None:
        """Say what is listened to."""
        self._write(f"listening to {source}" + (f", playing on {port}" if port else "") + "  (Ctrl-C to end)")

    def show(self, event: LiveEvent) -> None:
        """Write a line."""
        note, key = event.note, pitch_to_name(event.key)
        span = f"{note.onset:8.2f} - {note.offset:.2f} s" if event.kind in {"off", "final"} else f"{note.onset:8.2f} s"
        self._write(f"{event.time:8.2f}  {event.kind:6}{key:4}{span}")


class JsonDisplay(Display):
    """A line of JSON for every event."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def show(self, event: LiveEvent) -> None:
        """Write a line."""
        note = event.note
        fields = {
            "event": event.kind,
            "number": event.number,
            "time": round(event.time, 3),
            "onset": round(note.onset, 4),
            "offset": round(note.offset, 4),
            "pitch": round(note.pitch, 3),
            "key": event.key,
            "velocity": note.velocity,
            "confidence": round(note.confidence, 3),
        }
        self._write(json.dumps(fields))


class RollDisplay(Display):
    """A piano roll of the last seconds on a terminal: provisional notes are dim, final ones bright."""

    def __init__(self) -> None:
        self._source = self._port = ""
        self._seconds = self._level = 0.0
        self._provisional: dict[int, tuple[Note, int, bool]] = {}  # note, key, and whether it still sounds
        self._final: list[tuple[Note, int]] = []
        self._n_final = 0
        self._centre = 60.0
        self._live: Live | None = None
        self._drawn = -1.0

    def begin(self, source: str, port: str) -> None:
        """Take the screen."""
        from rich.live import Live

        self._source, self._port = source, port
        self._live = Live(self.picture(), auto_refresh=False, transient=True)
        self._live.start()

    def end(self) -> None:
        """Give the screen back."""
        if self._live:
            self._live.stop()

    def show(self, event: LiveEvent) -> None:
        """Keep the note."""
        if event.kind == "final":
            self._n_final += 1
            self._final = [*self._final[-99:], (event.note, event.key)]
            kept = self._provisional.items()
            self._provisional = {number: item for number, item in kept if item[0].onset >= event.note.offset - 0.05}
        else:
            self._provisional[event.number] = event.note, event.key, event.kind != "off"

    def advance(self, seconds: float, block: NDArray[np.float32]) -> None:
        """Draw, if the last picture is old enough."""
        self._seconds = seconds
        peak = float(np.abs(block).max(initial=0.0))
        self._level = max(0.85 * self._level, peak)
        if self._live and seconds - self._drawn >= REFRESH_SECONDS:
            self._drawn = seconds
            self._live.update(self.picture(), refresh=True)

    def picture(self, width: int = 0) -> RenderableType:
        """Draw the roll, with the time and the level above it."""
        from rich.console import Console, Group
        from rich.text import Text

        columns = max(20, (width or Console().width) - 8)
        notes = [(note, key, "bright_yellow") for note, key in self._final]
        for note, key, sounds in self._provisional.values():
            drawn = replace(note, offset=max(self._seconds, note.offset)) if sounds else note
            notes.append((drawn, key, "bold bright_white" if sounds else "yellow"))
        start = max(0.0, self._seconds - SECONDS_SHOWN)
        seen = [item for item in notes if item[0].offset > start]
        lines: list[Any] = [self._heading(Text)]
        for key in self._keys([key for _, key, _ in seen]):
            line = Text(f"{pitch_to_name(key):>5} ", style="dim" if key % 12 in BLACK else "")
            cells = ["·" if key % 12 == 0 else " "] * columns
            styles = ["dim"] * columns
            for note, its_key, style in seen:
                if its_key == key:
                    first = int((note.onset - start) / SECONDS_SHOWN * columns)
                    last = int((note.offset - start) / SECONDS_SHOWN * columns)
                    for column in range(max(0, first), min(columns, max(last, first + 1))):
                        cells[column], styles[column] = "█", style
            for cell, style in zip(cells, styles, strict=True):
                line.append(cell, style)
            lines.append(line)
        return Group(*lines)

    def _heading(self, text: Any) -> Any:
        bars = round(10 * min(1.0, max(0.0, 1 + np.log10(self._level + 1e-6) / 2.5)))
        where = f"  →  {self._port}" if self._port else ""
        minutes, seconds = divmod(int(self._seconds), 60)
        time = f"{minutes}:{seconds:02d}"
        line = text(f" {time}  ")
        line.append("▮" * bars, "green").append("▯" * (10 - bars), "dim")
        sounding = [key for _, key, sounds in self._provisional.values() if sounds]
        line.append(f"  {pitch_to_name(sounding[-1]) if sounding else '':4}", "bold bright_white")
        line.append(f" {self._source}{where}  (Ctrl-C to end)", "dim")
        line.no_wrap, line.overflow = True, "ellipsis"
        return line

    def _keys(self, seen: list[int]) -> range:
        """Give the rows, from the highest key down: those that are seen, with room around them."""
        if seen:
            self._centre += 0.2 * ((min(seen) + max(seen)) / 2 - self._centre)
        low, high = min([*seen, round(self._centre)]) - 2, max([*seen, round(self._centre)]) + 2
        spare = max(0, MIN_KEYS - (high - low + 1))
        low, high = low - spare // 2, high + spare - spare // 2
        if high - low + 1 > MAX_KEYS:
            low = high - MAX_KEYS + 1
        return range(min(high, 127), max(low, 0) - 1, -1)


def choose_display(*, plain: bool, as_json: bool, quiet: bool) -> Display:
    """Choose what is shown: the roll needs a terminal."""

    def write(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    if as_json:
        return JsonDisplay(write)
    if quiet:
        return Display()
    return TextDisplay(write) if plain or not sys.stdout.isatty() else RollDisplay()
