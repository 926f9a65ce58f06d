"""The output files of a conversion: sound, notes, scores and pictures in many formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from hf_model.audio.grid import PIANO_SAMPLE_RATE, resampled_length
from hf_model.audio.io import write_wav_blocks
from hf_model.audio.recording import Recording
from hf_model.export.all_or_none import OutputError, disk_errors
from hf_model.export.cover import write_cover
from hf_model.export.engraving import write_pdf, write_svg
from hf_model.export.formats.expression import Expression, find_expression
from hf_model.export.formats.jams import to_jams, write_jams
from hf_model.export.formats.labels import write_labels
from hf_model.export.formats.pitch_bend import find_bends
from hf_model.export.formats.pitch_table import write_pitch_table
from hf_model.export.formats.ultrastar import write_ultrastar
from hf_model.export.formats.ustx import write_ustx
from hf_model.export.midi_score import write_score
from hf_model.export.musicxml import MusicXMLError, write_musicxml
from hf_model.export.picture import save_picture
from hf_model.export.repetition_picture import save_repeats_picture
from hf_model.music.arrangement import Arranged
from hf_model.notes.note_files import write_csv
from hf_model.notes.pedal import Pedal
from hf_model.piano.performance import Take
from hf_model.plotting import PlottingError
from hf_model.separator.song import Stem
from hf_model.transcriber.pitch_curve import PitchCurve

ENDINGS = {
    "wav": "wav",
    "midi": "mid",
    "csv": "csv",
    "musicxml": "musicxml",
    "pdf": "pdf",
    "svg": "svg",
    "plot": "png",
    "structure": "structure.png",
    "labels": "labels.txt",
    "pitch_curve": "pitch.csv",
    "bend": "bend.mid",
    "ultrastar": "ultrastar.txt",
    "ustx": "ustx",
    "jams": "jams",
}
"""The kinds of outputs that every recording has, and how the names of their files end."""

SONG_KINDS = ("cover", "voice")
"""The kinds that only a song has."""


@dataclass(frozen=True)
class Conversion:
    """A converted recording.

    Attributes
    ----------
    name : str
        File name of the recording: title of the score and of the pictures.
    recording : Recording
    arranged : Arranged
    pedals : sequence of Pedal
    take : Take, optional
        The piano's performance; "wav" and "cover" need it.
    stems : mapping of {"voice", "backing"} to Stem
        Of a song: "cover" needs both, "voice" the first.
    normalize : bool
        Whether the cover is normalized.
    trace : callable, optional
        Computes the pitch curve of the voice; "pitch_curve", "bend" and "ustx" need it.
    tempo_kind : {"performed", "constant"}
        Tempo map of the MIDI files: see :func:`hf_model.export.midi_score.tempo_map`.
    """

    name: str
    recording: Recording
    arranged: Arranged
    pedals: Sequence[Pedal] = ()
    take: Take | None = None
    stems: Mapping[str, Stem] = field(default_factory=dict)
    normalize: bool = True
    trace: Callable[[], PitchCurve] | None = None
    tempo_kind: str = "performed"

    @property
    def n_samples(self) -> int:
        """Length of the recording at 44.1 kHz."""
        return resampled_length(self.recording.n_samples, self.recording.sample_rate, PIANO_SAMPLE_RATE)

    @cached_property
    def curve(self) -> PitchCurve:
        """The pitch of the voice over time."""
        if self.trace is None:
            msg = "trace is missing, and pitch_curve, bend and ustx need it"
            raise ValueError(msg)
        return self.trace()

    @property
    def expressions(self) -> list[Expression]:
        """What the voice does within the notes of the right hand."""
        return find_expression(self.arranged, self.curve)

    def write(self, paths: Mapping[str, Path]) -> None:
        """Write each kind of output to its path.

        Parameters
        ----------
        paths : mapping of kind to path
            Kinds of ``ENDINGS`` and ``SONG_KINDS``.

        Raises
        ------
        DiskError
            If a file cannot be written.
        OutputError
            If music21 or matplotlib is needed and not installed.
        """
        writers = self._writers()
        for kind, path in paths.items():
            try:
                with disk_errors(path.parent):
                    writers[kind](path)
            except (MusicXMLError, PlottingError) as error:
                raise OutputError(str(error)) from error

    def _writers(self) -> dict[str, Callable[[Path], None]]:
        arranged, title = self.arranged, _printable(self.name)
        notes, keys, song = arranged.notes, arranged.piano_notes, Path(title).stem
        meter, quarters = arranged.tempo.meter, arranged.tempo.bpm * (1.5 if arranged.tempo.is_compound else 1.0)
        length = self.n_samples / PIANO_SAMPLE_RATE
        return {
            "wav": lambda path: write_take(path, self._required_take()),
            "midi": self._write_midi,
            "csv": lambda path: write_csv(path, *arranged.note_pairs, length, arranged.accompaniment),
            "musicxml": lambda path: write_musicxml(path, arranged, song),
            "pdf": lambda path: write_pdf(path, arranged, song),
            "svg": lambda path: write_svg(path, arranged, song),
            "plot": lambda path: save_picture(path, self.recording.voice, notes, keys, title),
            "structure": lambda path: save_repeats_picture(path, notes, title, arranged.tuning),
            "labels": lambda path: write_labels(path, keys),
            "pitch_curve": lambda path: write_pitch_table(path, self.curve),
            "bend": self._write_bend,
            "ultrastar": lambda path: write_ultrastar(path, keys, quarters, title=song, audio=title),
            "ustx": lambda path: write_ustx(path, self.expressions, quarters, meter=meter, title=song),
            "jams": lambda path: write_jams(path, to_jams(arranged, length, song)),
            "cover": self._write_cover,
            "voice": self._write_voice,
        }

    def _write_bend(self, path: Path) -> None:
        self._write_midi(path, list(find_bends(self.expressions)))

    def _write_midi(self, path: Path, bends: Sequence[tuple[float, int]] = ()) -> None:
        kind = self.tempo_kind
        write_score(path, self.arranged, self.n_samples, pedals=self.pedals, bends=bends, tempo_kind=kind)

    def _write_cover(self, path: Path) -> None:
        voice, backing = self._required_stem("voice"), self._required_stem("backing")
        write_cover(path, self._required_take(), voice, backing, normalize=self.normalize)

    def _write_voice(self, path: Path) -> None:
        voice = self._required_stem("voice")
        write_wav_blocks(path, voice.blocks(), PIANO_SAMPLE_RATE, voice.n_samples)

    def _required_take(self) -> Take:
        if self.take is None:
            msg = "take is missing, and wav and cover need it"
            raise ValueError(msg)
        return self.take

    def _required_stem(self, name: str) -> Stem:
        if name not in self.stems:
            msg = f"the stem {name!r} is missing: it must be kept when the song is separated"
            raise ValueError(msg)
        return self.stems[name]


def _printable(name: str) -> str:
    """Decode a file name as UTF-8, with a mark for each byte that is not, whatever the locale."""
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:  # not from a file system; the titles leave such characters out
        return name


def write_take(path: Path, take: Take) -> None:
    """Write a performance as a 16-bit wav file at 44.1 kHz.

    Raises
    ------
    DiskError
        If the file cannot be written.
    """
    with disk_errors(path.parent):
        write_wav_blocks(path, take.blocks(), PIANO_SAMPLE_RATE, take.n_samples)
