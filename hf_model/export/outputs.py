"""The output files of a conversion: sound, notes, scores and pictures in many formats, all of them or none."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from hf_model.audio.grid import PIANO_SAMPLE_RATE, resampled_length
from hf_model.audio.io import write_wav_blocks
from hf_model.audio.recording import Recording
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
from hf_model.files import flush_file, remove_leftovers, temporary_path
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


_folders = threading.Lock()
"""Held while a thread makes a folder and the first files in it, or removes an empty one."""

_made: set[Path] = set()
"""Folders that this process made, to remove those in which nothing is written: several files may share one."""


class OutputError(Exception):
    """Why an output cannot be written."""


class DiskError(OutputError):
    """Why a folder cannot be written to."""


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
                with _disk_errors(path.parent):
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
    with _disk_errors(path.parent):
        write_wav_blocks(path, take.blocks(), PIANO_SAMPLE_RATE, take.n_samples)


@contextmanager
def all_or_none(outputs: Mapping[str, Path], *, make_folder: bool = False) -> Iterator[dict[str, Path]]:
    """Give temporary paths in the same folder; rename all of them at the end, or remove them after an exception.

    A kind that is deleted from the mapping is not written.

    Parameters
    ----------
    outputs : mapping of kind to path
        All in one folder.
    make_folder : bool
        Whether to make the folder if it is missing; it is removed again if nothing is written.

    Raises
    ------
    DiskError
        If the folder cannot be written to.
    """
    temporary = {kind: temporary_path(path.with_name(f"hummingface.{kind}")) for kind, path in outputs.items()}
    folder = next(iter(outputs.values())).parent
    try:
        with _folders, _disk_errors(folder):
            if make_folder:
                if not os.path.lexists(folder):
                    _made.add(folder)
                folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder, ".hummingface*.part")
            for path in temporary.values():
                path.touch(exist_ok=False)
        given = dict(temporary)
        yield given
        with _disk_errors(folder):
            _rename_all({given[kind]: outputs[kind] for kind in given})
    finally:
        if os.path.isdir(folder):  # noqa: PTH112 (that of Path raises where a folder cannot be entered)
            for path in temporary.values():
                with suppress(PermissionError):  # then it could not be made either
                    path.unlink(missing_ok=True)
            with _folders:
                if folder in _made and folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()


def _rename_all(names: Mapping[Path, Path]) -> None:
    """Rename every file, or none: a file that is replaced keeps a second name until all are renamed or it is back."""
    backups: dict[Path, Path] = {}
    replaced: list[Path] = []
    try:
        for old, new in names.items():
            if new.exists() or new.is_symlink():
                backups[new] = temporary_path(new.with_name("hummingface.old"))
                _add_name(new, backups[new])
            replaced.append(new)
            flush_file(old)  # else a power failure may leave nothing of an older file and nothing of the new one
            old.replace(new)
    except BaseException:
        for new in tuple(replaced):
            with suppress(OSError):  # the others can still be restored
                if new in backups:
                    backups[new].replace(new)
                else:
                    new.unlink(missing_ok=True)
                replaced.remove(new)
        for new, backup in backups.items():
            if new not in replaced:
                backup.unlink(missing_ok=True)
            else:  # the only copy of the older file: the next run must not take it for a leftover
                with suppress(OSError):
                    backup.rename(backup.with_suffix(".kept"))
        raise
    for backup in backups.values():
        backup.unlink(missing_ok=True)


def _add_name(path: Path, name: Path) -> None:
    """Link a file under a second name, or copy it where the file system has no links."""
    try:
        os.link(path, name, follow_symlinks=False)
    except (OSError, NotImplementedError):  # the second on Windows
        shutil.copy2(path, name, follow_symlinks=False)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Name the folder when a file cannot be written."""
    try:
        yield
    except OSError as error:
        msg = f"cannot write to {folder}: {error.strerror or error}"
        raise DiskError(msg) from error
