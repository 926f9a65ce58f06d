"""What `convert` returns: an arrangement with its audio, which saves itself and turns into other libraries' types."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.audio.recording import Recording
from hf_model.config import check_choice
from hf_model.export.formats.jams import to_jams
from hf_model.export.formats.players import show_players
from hf_model.export.midi_score import write_score
from hf_model.music.arrangement import Arranged
from hf_model.notes.pedal import Pedal
from hf_model.separator.source import Source
from hf_model.transcriber.pitch_curve import PitchCurve


@dataclass(frozen=True, repr=False)
class Rendition(Arranged):
    """An arrangement and its audio; for the other attributes see :class:`hf_model.music.arrangement.Arranged`.

    In a notebook it shows players for the piano and the voice.

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
        Whether the recording is a "voice" alone, a "song" or a "whistle", and how certain that is.
    pedals : tuple of Pedal
        Of both hands.
    recording : Recording, optional
        The voice at 16 kHz: the recording itself, or what was separated from a song.
    trace : callable, optional
        Computes the pitch curve of the voice, with the network that transcribed it.
    """

    warnings: tuple[str, ...] = ()
    audio: NDArray[np.float32] = field(default_factory=lambda: np.zeros((1, 0), dtype=np.float32))
    sample_rate: int = PIANO_SAMPLE_RATE
    gain: float = 1.0
    source: Source = field(default_factory=lambda: Source("voice", 1.0))
    pedals: tuple[Pedal, ...] = ()
    recording: Recording | None = None
    trace: Callable[[], PitchCurve] | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        """Summarize in one line."""
        music = f"{len(self.piano_notes)} notes, {self.duration:.2f} s, {self.tempo.bpm:.0f} bpm, {self.key.name}"
        return f"Rendition({music}, {self.source.kind})"

    def _repr_html_(self) -> str:
        """Show players in a notebook."""
        sounds = {"piano": (self.audio, self.sample_rate)}
        if self.recording is not None:
            sounds["voice"] = (self.recording.voice[np.newaxis], 16000)
        return show_players(repr(self), sounds)

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.audio.shape[1] / self.sample_rate)

    def save(
        self,
        folder: Path | str,
        name: str = "piano",
        *,
        formats: Iterable[str] = ("wav", "midi", "csv"),
        overwrite: bool = False,
    ) -> dict[str, Path]:
        """Write the audio, the notes with bars and a table of them, or other formats, all or none.

        Parameters
        ----------
        folder : path
            Made if it is missing; ``~`` is the home folder.
        name : str
            Of the files, without suffix.
        formats : iterable of str
            "wav", "midi", "csv", "musicxml", "plot", "structure", "labels" (Audacity), "pitch_curve" (CSV), "bend"
            (MIDI with pitch bends), "ultrastar", "ustx" (OpenUtau) and "jams"; or "all".
        overwrite : bool
            Replace existing files.

        Returns
        -------
        dict of format to path

        Raises
        ------
        ConfigError
            For an unknown format.
        FileExistsError
            If one of the files exists.
        OutputError
            If the folder cannot be written to, or a package that a format needs is not installed.
        """
        from hf_model.audio.io import write_wav_blocks
        from hf_model.export.all_or_none import all_or_none
        from hf_model.export.outputs import ENDINGS, Conversion

        kinds = [*ENDINGS] if formats == "all" else [*((formats,) if isinstance(formats, str) else formats)]
        for kind in kinds:
            check_choice("format", kind, (*ENDINGS, "all"))
        paths = {kind: Path(folder).expanduser() / f"{name}.{ENDINGS[kind]}" for kind in kinds}
        older = next((path for path in paths.values() if path.exists()), None)
        if older and not overwrite:
            msg = f"{older} exists; overwrite=True replaces it"
            raise FileExistsError(msg)
        recording = self.recording or Recording(np.zeros(0, np.float32), self.audio.shape[1], self.sample_rate)
        conversion = Conversion(name, recording, self, self.pedals, trace=self.trace)
        with all_or_none(paths, make_folder=True) as temporary:
            conversion.write({kind: path for kind, path in temporary.items() if kind != "wav"})
            if "wav" in temporary:
                write_wav_blocks(temporary["wav"], [self.audio], self.sample_rate, self.audio.shape[1])
        return paths

    def to_pretty_midi(self) -> Any:
        """Return the notes with tempo, time signature and key as ``pretty_midi.PrettyMIDI``."""
        import pretty_midi

        file = io.BytesIO()
        write_score(file, self, self.audio.shape[1], pedals=self.pedals)
        file.seek(0)
        return pretty_midi.PrettyMIDI(file)

    def to_dataframe(self) -> Any:
        """Return the notes as ``pandas.DataFrame``: onset, offset, pitch, note, velocity, confidence.

        ``attrs["duration"]`` is the length of the recording in seconds.

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
        table = pandas.DataFrame(rows, columns=["onset", "offset", "pitch", "note", "velocity", "confidence"])
        table.attrs["duration"] = self.duration
        return table

    def to_music21(self, title: str = "") -> Any:
        """Return the score that ``--musicxml`` writes, as ``music21.stream.Score``.

        Raises
        ------
        MusicXMLError
            If music21 is not installed: ``pip install 'hummingface[score]'``.
        """
        from hf_model.export.musicxml import require_music21, to_score

        require_music21()
        return to_score(self, title)

    def to_jams(self, title: str = "") -> dict[str, Any]:
        """Return notes, beats, tempo, key and chords as a JAMS document (plain values, for ``json.dump``)."""
        return to_jams(self, self.duration, title)

    def to_pitch_curve(self) -> PitchCurve:
        """Compute pitch and voicing of the voice every 10 ms.

        Raises
        ------
        TypeError
            If the transcriber has no posteriors.
        ValueError
            For a rendition without a voice.
        """
        if self.trace is None:
            msg = "the voice of this rendition is not known: it was not made by convert"
            raise ValueError(msg)
        return self.trace()
