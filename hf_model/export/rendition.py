"""What `convert` returns: an arrangement with its audio, which saves itself and turns into other libraries' types."""

from __future__ import annotations

import importlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.music.arrangement import Arranged
from hf_model.notes.pedal import Pedal
from hf_model.separator.source import Source


@dataclass(frozen=True, repr=False)
class Rendition(Arranged):
    """An arrangement and its audio; for the other attributes see :class:`hf_model.music.arrangement.Arranged`.

    Attributes
    ----------
    warnings : tuple of str
        Problems of the recording.
    audio : ndarray, shape (channel, sample)
        float32 in [-1, 1], exactly as long as the recording.
    sample_rate : int
        44100 Hz.
    gain : float
        Factor that was applied to the piano.
    source : Source
        Whether the recording is a "voice" alone or a "song", and how certain that is.
    pedals : tuple of Pedal
        Of both hands.
    """

    warnings: tuple[str, ...] = ()
    audio: NDArray[np.float32] = field(default_factory=lambda: np.zeros((1, 0), dtype=np.float32))
    sample_rate: int = PIANO_SAMPLE_RATE
    gain: float = 1.0
    source: Source = field(default_factory=lambda: Source("voice", 1.0))
    pedals: tuple[Pedal, ...] = ()

    def __repr__(self) -> str:
        """Summarize in one line."""
        music = f"{len(self.piano_notes)} notes, {self.duration:.2f} s, {self.tempo.bpm:.0f} bpm, {self.key.name}"
        return f"Rendition({music}, {self.source.kind})"

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.audio.shape[1] / self.sample_rate)

    def save(self, folder: Path | str, name: str = "piano", *, overwrite: bool = False) -> dict[str, Path]:
        """Write the audio (wav), the notes with bars (MIDI) and a table of them (csv), all or none.

        Parameters
        ----------
        folder : path
            Made if it is missing.
        name : str
            Of the files, without suffix.
        overwrite : bool
            Replace existing files.

        Returns
        -------
        dict of {"wav", "midi", "csv"} to path

        Raises
        ------
        FileExistsError
            If one of the files exists.
        DiskError
            If the folder cannot be written to.
        """
        from hf_model.audio.io import write_wav_blocks
        from hf_model.export.outputs import all_or_none
        from hf_model.notes.note_files import write_csv

        endings = {"wav": "wav", "midi": "mid", "csv": "csv"}
        paths = {kind: Path(folder) / f"{name}.{ending}" for kind, ending in endings.items()}
        older = next((path for path in paths.values() if path.exists()), None)
        if older and not overwrite:
            msg = f"{older} exists; overwrite=True replaces it"
            raise FileExistsError(msg)
        with all_or_none(paths, make_folder=True) as temporary:
            write_wav_blocks(temporary["wav"], [self.audio], self.sample_rate, self.audio.shape[1])
            self._write_midi(temporary["midi"])
            write_csv(temporary["csv"], *self.note_pairs)
        return paths

    def to_pretty_midi(self) -> Any:
        """Return the notes with tempo, time signature and key as ``pretty_midi.PrettyMIDI``."""
        import pretty_midi

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "piano.mid"
            self._write_midi(path)
            return pretty_midi.PrettyMIDI(str(path))

    def to_dataframe(self) -> Any:
        """Return the notes as ``pandas.DataFrame``, with the columns of the csv file.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")  # no dependency
        except ModuleNotFoundError as error:
            msg = "to_dataframe needs pandas: pip install pandas"
            raise ImportError(msg) from error
        rows = [
            (key.onset, key.offset, note.pitch, int(key.pitch), key.velocity, note.confidence)
            for note, key in zip(*self.note_pairs, strict=True)
        ]
        return pandas.DataFrame(rows, columns=["onset", "offset", "pitch", "note", "velocity", "confidence"])

    def _write_midi(self, path: Path) -> None:
        from hf_model.export.midi_score import write_score

        write_score(path, self, self.duration, pedals=self.pedals)
