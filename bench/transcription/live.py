"""Latency and errors of the provisional notes of `hummingface live`, on streamed recordings; writes reports/live.md.

Recordings are pushed in blocks of 20 ms. Latency is the audio that had arrived when a note began, minus the onset of
its final note, plus the CPU time until the note was known. The thresholds were fitted (--fit) on one group of singers
of SSVD and on made voices, which are not measured.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.recording import read_recording
from hf_model.corpora.readers.voice import ssvd_singer
from hf_model.inference import default_models
from hf_model.live.comparison import PITCH_TOLERANCE, Comparison, compare
from hf_model.live.posteriors import Tail, TailPosteriors
from hf_model.live.tracker import NoteTracker, TrackerConfig
from hf_model.live.transcription import STEP_SECONDS, LiveTranscription
from hf_model.notes.note import Note
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import SingerConfig, sing
from hf_model.transcriber.transcriber import Transcriber

Audio = NDArray[np.float32]

RATE = 16000
BLOCK = 320
"""Samples (20 ms)."""

FITTED_SINGER = ssvd_singer("1201")
"""The thresholds were fitted on this group of SSVD."""

MADE_FITTED, MADE_MEASURED = range(7000, 7005), range(9000, 9005)
"""Seeds of made voices."""


@dataclass
class Measured:
    """What was measured on the recordings of one kind: counts, latencies in seconds, and CPU time."""

    seconds: float = 0.0
    cpu: float = 0.0
    n_final: int = 0
    n_provisional: int = 0
    n_other_pitch: int = 0
    n_corrected: int = 0
    n_withdrawn: int = 0
    n_unannounced: int = 0
    n_different: int = 0
    audio: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)

    def add(self, other: Measured) -> None:
        """Add the measurements of more recordings."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def row(self, name: str) -> str:
        """Give a row of the table."""
        audio, total = (1000 * np.percentile(values, (50, 95)) for values in (self.audio, self.total))
        return (
            f"| {name} | {self.seconds:.0f} | {self.n_final} | {audio[0]:.0f} / {audio[1]:.0f} "
            f"| {total[0]:.0f} / {total[1]:.0f} | {100 * self.n_withdrawn / max(1, self.n_provisional):.1f} % "
            f"| {100 * self.n_other_pitch / max(1, self.n_provisional):.1f} % "
            f"| {100 * self.n_corrected / max(1, self.n_provisional):.1f} % "
            f"| {100 * self.n_unannounced / max(1, self.n_final):.1f} % | {self.cpu / self.seconds:.2f} "
            f"| {'all' if not self.n_different else f'{self.n_different} differ'} |"
        )


HEAD = (
    "| recordings | seconds | notes | onset to note, audio (ms, median / 95 %) | with computing | withdrawn "
    "| another pitch at first | at last | without a provisional note | CPU cores | final notes equal the file's |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("--mirror", type=Path, default=Path("../shared/data/mirror"), help="folder of the recordings (%(default)s)")
    add("--seconds", type=float, default=30.0, help="of each recording (%(default)g)")
    add("--files", type=int, default=8, help="most files of a kind (%(default)s)")
    add("--out", type=Path, default=Path("reports/live.md"), help="the report (%(default)s)")
    add("--fit", action="store_true", help="print the errors of many thresholds on the recordings to fit on")


def run(options: argparse.Namespace) -> None:
    """Measure, and write the report; or fit."""
    transcriber = default_models().transcriber
    assert isinstance(transcriber, Transcriber)
    if options.fit:
        fit(transcriber, options)
        return
    lines, every = [HEAD], Measured()
    for kind, recordings in measured_recordings(options).items():
        of_kind = Measured()
        for audio in recordings:
            of_kind.add(measure(transcriber, audio))
        every.add(of_kind)
        lines.append(of_kind.row(kind))
        print(lines[-1], flush=True)
    lines.append(every.row("all"))
    print(lines[-1])
    command = f"python -m bench live --seconds {options.seconds:g} --files {options.files}"
    options.out.write_text(f"{REPORT}\n`{command}`:\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


def measured_recordings(options: argparse.Namespace) -> dict[str, Iterator[Audio]]:
    """Give the recordings by kind."""
    mirror = options.mirror
    ssvd = [path for path in ssvd_files(mirror) if ssvd_singer(path.stem) != FITTED_SINGER]
    csd = [path for folder in sorted(mirror.glob("csd/*/*")) for path in sorted(folder.glob("*.mp3"))]
    return {
        "SSVD, sight-singing": read_files(
            ssvd[:: max(1, len(ssvd) // options.files)][: options.files], options.seconds
        ),
        "vocadito, amateurs": read_files(sorted(mirror.glob("vocadito/Audio/*.wav"))[: options.files], options.seconds),
        "CSD, a professional, children's songs": read_files(csd[: options.files], options.seconds),
        "made voices": made(MADE_MEASURED, options.seconds),
    }


def ssvd_files(mirror: Path) -> list[Path]:
    """List the recordings of SSVD."""
    return sorted(mirror.glob("ssvd/*/*.flac"))


def read_files(paths: list[Path], seconds: float) -> Iterator[Audio]:
    """Read the beginnings of files at 16 kHz."""
    for path in paths:
        yield np.array(read_recording(path).voice[: round(seconds * RATE)])


def made(seeds: range, seconds: float) -> Iterator[Audio]:
    """Make voices."""
    for seed in seeds:
        yield sing(compose(seed, seconds), seed, SingerConfig(RATE)).audio.astype(np.float32)


def measure(transcriber: Transcriber, audio: Audio) -> Measured:
    """Stream a recording."""
    live = LiveTranscription(transcriber, RATE)
    began: dict[int, tuple[float, float, float]] = {}
    started = time.process_time()
    for first in range(0, len(audio), BLOCK):
        arrived = time.thread_time()
        for event in live.push(audio[first : first + BLOCK]):
            if event.kind == "on":
                began[event.number] = event.time, time.thread_time() - arrived, event.note.pitch
    list(live.finish())
    cpu = time.process_time() - started
    found = compare(live.provisional, live.final)
    measured = counts(found, live.final, len(live.provisional))
    for number, place in found.pairs:
        at, computing, pitch = began[number]
        measured.n_other_pitch += abs(pitch - live.final[place].pitch) > PITCH_TOLERANCE
        measured.audio.append(at - live.final[place].onset)
        measured.total.append(measured.audio[-1] + computing)
    expected = transcriber.transcribe(audio)
    is_equal = live.final == expected
    return replace(measured, seconds=len(audio) / RATE, cpu=cpu, n_different=0 if is_equal else 1)


def counts(found: Comparison, final: list[Note], n_provisional: int) -> Measured:
    """Count what became of the provisional notes."""
    return Measured(
        n_final=len(final),
        n_provisional=n_provisional,
        n_corrected=len(found.corrected),
        n_withdrawn=len(found.withdrawn),
        n_unannounced=len(found.unannounced),
    )


def fit(transcriber: Transcriber, options: argparse.Namespace) -> None:
    """Print the errors of many thresholds; the posteriors are computed once."""
    paths = [path for path in ssvd_files(options.mirror) if ssvd_singer(path.stem) == FITTED_SINGER]
    chosen = read_files(paths[:: max(1, len(paths) // options.files)][: options.files], options.seconds)
    widest = TrackerConfig().tail_frames
    recordings = [
        (list(tails(transcriber, audio, widest)), transcriber.transcribe(audio))
        for audio in itertools.chain(chosen, made(MADE_FITTED, options.seconds))
    ]
    for onset, hold_frames in itertools.product((0.3, 0.4, 0.5, 0.6), (6, 8, 10, 12)):
        config, total = TrackerConfig(onset=onset, soft_onset=0.6 * onset, hold_frames=hold_frames), Measured()
        for followed, final in recordings:
            total.add(follow(config, followed, final))
        late = 1000 * np.percentile(total.audio, (50, 95))
        print(
            f"onset {onset:.1f}, hold_frames {hold_frames:2}: withdrawn {total.n_withdrawn / total.n_provisional:.3f}, "
            f"corrected {total.n_corrected / total.n_provisional:.3f}, "
            f"without {total.n_unannounced / total.n_final:.3f}, latency {late[0]:.0f} / {late[1]:.0f} ms",
            flush=True,
        )


def tails(transcriber: Transcriber, audio: Audio, n_frames: int) -> Iterator[tuple[float, Tail]]:
    """Yield the posteriors after every step, with the seconds that had arrived."""
    tail, step = TailPosteriors(transcriber, n_frames), round(STEP_SECONDS * RATE)
    for first in range(0, len(audio) - step + 1, step):
        tail.push(audio[first : first + step])
        yield (first + step) / RATE, tail.compute()


def follow(config: TrackerConfig, followed: list[tuple[float, Tail]], final: list[Note]) -> Measured:
    """Follow the notes of a recording with some thresholds."""
    tracker, began, provisional = NoteTracker(config), {}, {}
    for now, tail in followed:
        for kind, note in tracker.update(tail.first, tail.onset, tail.voicing, tail.pitch):
            if kind == "on":
                began[note.number] = now
            provisional[note.number] = Note(note.onset / 100, note.onset / 100 + 0.1, note.pitch)
    found = compare(provisional, final)
    measured = counts(found, final, len(provisional))
    measured.audio = [began[number] - final[place].onset for number, place in found.pairs]
    return measured


REPORT = """# Live transcription

Recordings are streamed in blocks of 20 ms into what `hummingface live` and the page use. A provisional note begins
when simple rules on the posteriors of the last moments say so (`hf_model/live/tracker.py`); its final note is that of
the whole recording. *Onset to note, audio*: the audio that had to arrive before the note began, minus the onset of
the final note. *With computing*: plus the CPU time from the arrival of the last block on. A microphone adds the delay
of its driver, the page that of the network. *Withdrawn*: provisional notes without a final note whose onset is within
100 ms. *Another pitch*: the pitch with which the note began, and the one to which it was corrected while it sounded,
are more than half a semitone from the final note's. The thresholds were fitted on other singers (the group 1201 of
SSVD) and on other made voices, with `python -m bench live --fit`. The network itself was trained on SSVD, but not on
vocadito and CSD.
"""
