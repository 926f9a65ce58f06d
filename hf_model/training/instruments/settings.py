"""Settings of the training on instruments, and the clips that they ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.alignment.band_audio import find_font
from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.audio.resampling import resample
from hf_model.config import check_range
from hf_model.instruments.spectrogram import RATE
from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY
from hf_model.piano.sampled import SampledPiano
from hf_model.singer.composition import compose
from hf_model.training.instruments.clips import CLIP_SECONDS, InstrumentClip, audio_clip, font_clips, made_voice_clips
from hf_model.training.instruments.recorded_clips import recorded_clips
from hf_model.training.instruments.single_notes import note_clips, sung_note_clips

WITHOUT_RECORDINGS = ("made",)
"""Names in the list of downloaded corpora that have no files."""


@dataclass(frozen=True)
class InstrumentTraining:
    """Settings of the training on instruments (params.yaml: instruments).

    Attributes
    ----------
    steps : int
        Optimizer steps of 48 mixtures.
    learning_rate : float
        The highest one.
    fonts : tuple of str
        File names of General MIDI sound fonts, which FluidSynth plays; the more, the less the network learns of one.
    font_clips, note_clips : int
        Clips of each class and sound font: phrases, and single notes over the whole range.
    sung_notes : int
        Single notes of synthetic voices.
    made_clips, piano_clips : int
        Phrases of synthetic voices, and of the sampled piano: these need neither FluidSynth nor recordings.
    recorded_clips : int
        Clips of each class and downloaded corpus.
    start : str
        Folder of the weights to start from; none for random ones.
    start_share : float
        How much of these remains in the weights after training, 0-1.
    piano_odds : float
        The odds of a piano are multiplied by this: it is asked for more often than the other classes.
    test_font : str
        A sound font that is not in ``fonts``. Half of its clips calibrate the probabilities, the other half measures.
        Without one, the network is measured on other synthetic voices and piano phrases.
    seed : int
    """

    steps: int = 3000
    learning_rate: float = 3.0e-3
    fonts: tuple[str, ...] = ()
    font_clips: int = 40
    note_clips: int = 36
    sung_notes: int = 0
    made_clips: int = 800
    piano_clips: int = 40
    recorded_clips: int = 500
    start: str = ""
    start_share: float = 0.0
    piano_odds: float = 1.0
    test_font: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_range("steps", self.steps, 1, 10_000_000)
        check_range("learning_rate", self.learning_rate, 1e-8, 1.0)
        check_range("font_clips", self.font_clips, 1, 100_000)
        check_range("note_clips", self.note_clips, 0, 100_000)
        check_range("sung_notes", self.sung_notes, 0, 1_000_000)
        check_range("made_clips", self.made_clips, 4, 1_000_000)
        check_range("piano_clips", self.piano_clips, 1, 1_000_000)
        check_range("recorded_clips", self.recorded_clips, 0, 1_000_000)
        check_range("start_share", self.start_share, 0.0, 1.0)
        check_range("piano_odds", self.piano_odds, 1e-3, 1e3)
        check_range("seed", self.seed, 0, 2**31)


def training_clips(settings: InstrumentTraining, raw: Path, corpora: list[str]) -> Iterator[InstrumentClip]:
    """Make or cut all clips to train on; errors as of the functions that make them."""
    for font in settings.fonts:
        yield from font_clips(find_font(font), settings.font_clips, settings.seed)
        if settings.note_clips:
            yield from note_clips(find_font(font), settings.note_clips, settings.seed)
    yield from sung_note_clips(settings.sung_notes, settings.seed)
    yield from made_voice_clips(settings.made_clips, settings.seed)
    yield from piano_clips(settings.piano_clips, settings.seed)
    for corpus in corpora:
        if corpus not in WITHOUT_RECORDINGS and settings.recorded_clips:
            yield from recorded_clips(raw, corpus, settings.recorded_clips, settings.seed)


def test_clips(settings: InstrumentTraining) -> list[InstrumentClip]:
    """Make the clips to measure on."""
    other = settings.seed + 9
    made = list(made_voice_clips(60 if settings.test_font else 8, other))
    if not settings.test_font:
        return [*made, *piano_clips(8, other)]
    clips = list(font_clips(find_font(settings.test_font), 16, settings.seed))
    return clips + [clip for clip in made if "whistling" in clip.names]


def piano_clips(n_clips: int, seed: int) -> Iterator[InstrumentClip]:
    """Play phrases on the sampled piano."""
    piano = SampledPiano.load(channels=1)
    rng = np.random.default_rng([seed, 88])
    for number in range(n_clips):
        shift = int(rng.integers(-24, 25))
        audio = play_phrase(piano, 100_000 * seed + 50_000 + number, shift)
        clip = audio_clip(audio, {"piano"}, "sampled piano")
        if clip is not None:
            yield clip


def play_phrase(piano: SampledPiano, number: int, shift: int = 0) -> NDArray[np.float32]:
    """Play a composed phrase of ``CLIP_SECONDS``, moved by semitones: audio (sample,) at 16 kHz."""
    melody = compose(number, CLIP_SECONDS)
    notes = [replace(note, pitch=float(np.clip(round(note.pitch) + shift, LOWEST_KEY, HIGHEST_KEY))) for note in melody]
    audio = piano.render(notes, round(CLIP_SECONDS * PIANO_SAMPLE_RATE))[0]
    return resample(audio, PIANO_SAMPLE_RATE, RATE)
