"""`hummingface sing`: sing lyrics on the melody of a recording, a MIDI file, a score or a table of notes."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, resampled_length, seconds_to_samples
from hf_model.cli.messages import describe_error, describe_unexpected
from hf_model.cli.one_file import check_name, check_output, run_one
from hf_model.cli.report import Report, note_fields
from hf_model.export.all_or_none import OutputError, all_or_none
from hf_model.notes.note import Note

if TYPE_CHECKING:
    from hf_model.inference import Models

PIANO_SHARE = 0.5
"""Peak of the piano in the mix, beside a voice of peak 0.7 before both are limited together."""


@dataclass(frozen=True)
class SingOptions:
    """What is sung, and how.

    Attributes
    ----------
    lyrics : str
        The text; "" for the lyrics of the score.
    voice, language : str
    piano : bool
        The piano plays along.
    out : path, optional
        By default the path of the melody with "_sung.wav" for its suffix.
    overwrite : bool
    """

    lyrics: str = ""
    voice: str = "alto"
    language: str = "en"
    piano: bool = False
    out: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class Melody:
    """Notes with piano keys, the number of samples at 44.1 kHz, and the lyrics of a score."""

    notes: list[Note]
    n_samples: int
    lyrics: str = ""


def read_lyrics(value: str) -> str:
    """Return the text itself, or the content of the file of that name.

    Raises
    ------
    OutputError
        If it ends in .txt or .lrc and is no readable text file.
    """
    path = Path(value)
    looks_like_file = path.suffix.lower() in {".txt", ".lrc"} and "\n" not in value
    if not looks_like_file:
        return value
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file in UTF-8"
        msg = f"{value}: {reason.lower() if getattr(error, 'strerror', None) else reason}"
        raise OutputError(msg) from error
    lines = [line.split("]")[-1] if path.suffix.lower() == ".lrc" else line for line in text.splitlines()]
    return "\n".join(lines)


def sing_file(source: Path, options: SingOptions, models: Models) -> Report:
    """Sing the melody of a file into a wav file; if that fails, the report has the error and nothing is written."""
    started = time.perf_counter()
    report = Report(str(source))
    try:
        _sing(source, options, models, report)
    except (OSError, OutputError, ValueError) as error:
        report.error = describe_error(error, source)
    except ModuleNotFoundError as error:
        report.error = f"{source}: {error.name} is not installed: pip install 'hummingface[lyrics]'"
    except Exception as error:  # noqa: BLE001 (one line instead of a traceback)
        report.error = f"{source}: {describe_unexpected(error)}"
    report.seconds = round(time.perf_counter() - started, 3)
    return report


def _sing(source: Path, options: SingOptions, models: Models, report: Report) -> None:
    from hf_model.audio.io import write_wav_blocks
    from hf_model.lyrics.singing import sing_lyrics

    out = options.out or source.with_name(f"{source.stem}_sung.wav")
    check_name(out)
    check_output(source, out, overwrite=options.overwrite)
    melody = load_melody(source, models)
    lyrics = options.lyrics or melody.lyrics
    if not lyrics.strip():
        msg = "there are no words: give them with --lyrics"
        raise OutputError(msg)
    sung = sing_lyrics(melody.notes, lyrics, melody.n_samples, voice=options.voice, language=options.language)
    audio = sung.audio[None]
    if options.piano:
        audio = _with_piano(sung.audio, melody, models)
    with all_or_none({"wav": out}, make_folder=True) as temporary:
        write_wav_blocks(temporary["wav"], [audio], PIANO_SAMPLE_RATE, melody.n_samples)
    report.outputs = {"wav": str(out)}
    report.duration, report.n_notes = round(melody.n_samples / PIANO_SAMPLE_RATE, 6), len(sung.notes)
    report.notes = [note_fields(note) for note in sung.notes]
    report.warnings = list(sung.warnings)


def _with_piano(voice: NDArray[np.float32], melody: Melody, models: Models) -> NDArray[np.float32]:
    from hf_model.inference import render

    piano = render(melody.notes, melody.n_samples, models=models)
    peak = float(np.max(np.abs(piano))) if piano.size else 0.0
    mix = voice[None] + piano * (PIANO_SHARE / max(peak, 1e-9))
    return (mix / max(1.0, float(np.max(np.abs(mix), initial=0.0)))).astype(np.float32)


def load_melody(source: Path, models: Models) -> Melody:
    """Load a melody from a recording, a MIDI file, a score or a table of notes.

    Raises
    ------
    OSError, ValueError, ConfigError
        If the file cannot be read; the message names it.
    """
    from hf_model.lyrics.melody_file import is_melody_file, read_melody_file

    if is_melody_file(source):
        written = read_melody_file(source)
        return Melody(written.notes, seconds_to_samples(written.duration, PIANO_SAMPLE_RATE), written.lyrics)
    from hf_model.audio.recording import read_recording
    from hf_model.inference import arrange_recording
    from hf_model.preparation.separation import separate

    recording = read_recording(source)
    arranged, _ = arrange_recording(separate(recording, lambda: models.separator), models=models)
    n_samples = resampled_length(recording.n_samples, recording.sample_rate, PIANO_SAMPLE_RATE)
    return Melody(arranged.piano_notes, n_samples)


def run(arguments: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    from hf_model.inference import Models, default_models

    def make() -> Report:
        options = SingOptions(
            read_lyrics(arguments.lyrics),
            arguments.voice,
            arguments.language,
            arguments.piano,
            arguments.out,
            arguments.overwrite,
        )
        return sing_file(arguments.melody, options, Models(arguments.model) if arguments.model else default_models())

    return run_one(arguments, make)
