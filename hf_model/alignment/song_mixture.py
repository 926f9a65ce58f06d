"""Songs with exact note labels: a synthetic or recorded voice over a band, and what a separator leaves of the voice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from hf_model.alignment.band import write_band
from hf_model.alignment.band_audio import BAND_SAMPLE_RATE, TRAIN_FONTS, find_font, render_band
from hf_model.alignment.manifest import Pair, voice_path
from hf_model.alignment.song_production import active_level, master, produce_voice
from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.io import read_audio, to_mono
from hf_model.audio.resampling import resample
from hf_model.corpora.pop909_songs import Song, as_one_voice, cut_excerpt, read_song
from hf_model.notes.note import Note
from hf_model.separator.choice import SeparatorLike
from hf_model.separator.voice_part import blend
from hf_model.singer.composition import draw_centre
from hf_model.singer.synthesis import SingerConfig, sing

SINGER_RATE = 22050
"""Hz; separators use the band below 11 kHz."""

SINGER = SingerConfig(SINGER_RATE, max_lead=0.3, max_tail=0.3, speech=0.12)

PHRASE_REST = 0.35
"""Seconds; a phrase ends where the singer rests as long."""

MAX_SINGERS = 3

HIGHEST_MIDDLE = 74.0
"""MIDI number: lead vocals of songs do not lie higher."""

NO_VOICE, BACKING, SPREAD_DB = 0.1, 0.35, 2.0
"""Shares of songs without a lead voice, and with backing vocals; spread of the levels of singers, dB."""

BRIDGE_SHARE = 0.4
"""Share of backing vocals that sing the second melody, also where the lead rests."""

HARMONIES = (-12, -5, -4, -3, 0, 3, 4, 7, 12)
"""Semitones of backing vocals above the lead."""


@dataclass(frozen=True)
class MixtureJob:
    """A song to make.

    Attributes
    ----------
    midi_path : Path
        A song of POP909.
    seed : int
        Of everything that is random.
    seconds : float
    level_db : (float, float)
        Range of the voice's level over the band's.
    fonts : tuple of str
        Sound fonts, of which one is drawn.
    pair : Pair, optional
        A recorded voice that sings; by default a synthetic one sings the song's melody.
    aligned : Path, optional
        The folder of aligned data with the recorded voice.
    lead : bool
        False makes a song without a lead voice.
    """

    midi_path: Path
    seed: int
    seconds: float
    level_db: tuple[float, float] = (-8.0, 10.0)
    fonts: tuple[str, ...] = TRAIN_FONTS
    pair: Pair | None = None
    aligned: Path | None = None
    lead: bool = True


@dataclass(frozen=True, eq=False)
class Mixture:
    """A made song.

    Attributes
    ----------
    mix : ndarray, shape (2, sample)
        44.1 kHz, as mastered.
    voice : ndarray, shape (2, sample)
        The lead voice before mastering, with its room, without the band.
    notes : list of Note
        Of the lead voice, exact.
    """

    mix: NDArray[np.float32]
    voice: NDArray[np.float32]
    notes: list[Note]


def make_mixture(job: MixtureJob) -> Mixture:
    """Make a song: write and render a band, sing, mix and master."""
    rng = np.random.default_rng([job.seed, 0x50A6])
    n_samples = round(job.seconds * BAND_SAMPLE_RATE)
    recorded = _recorded_voice(job, rng, n_samples)
    song = _excerpt(read_song(job.midi_path), job.seconds, rng, recorded[1] if recorded else None)
    parts = write_band(song, job.seconds, rng)
    font = find_font(str(rng.choice(job.fonts)))
    band = render_band(parts, n_samples, font, reverb=int(rng.integers(0, 90)))
    band *= np.float32(0.1 / max(active_level(band), 1e-9))
    backing = rng.random() < BACKING
    if recorded:
        dry, notes = recorded
    else:
        dry, notes = sing_song(song.melody, rng, n_samples, leave_out=not job.lead)
    voice = produce_voice(dry, rng)
    gain = 0.1 / max(active_level(voice), 1e-9) * 10.0 ** (rng.uniform(*job.level_db) / 20.0)
    voice = np.asarray(voice * gain, dtype=np.float32) if notes else np.zeros_like(voice)
    choir = _backing_vocals(song, rng, n_samples) if backing and job.lead and not recorded else np.float32(0.0)
    choir = choir * np.float32(max(active_level(voice), 0.03))
    mixed = master(band + voice + choir, rng)
    return Mixture(mixed, voice, notes)


def separate_mixture(mixture: Mixture, separator: SeparatorLike) -> NDArray[np.float32]:
    """Separate the voice of a song, and blend it as for transcribing: mono (sample,) at 16 kHz."""
    voice = np.concatenate(list(separator.separate([mixture.mix])), axis=1)
    return resample(to_mono(blend(voice, mixture.mix - voice)), BAND_SAMPLE_RATE, VOICE_STFT.sample_rate)


def sing_song(
    melody: Sequence[Note], rng: Generator, n_samples: int, *, leave_out: bool = False, config: SingerConfig = SINGER
) -> tuple[NDArray[np.float32], list[Note]]:
    """Sing a melody with up to three singers, who take turns phrase by phrase.

    Parameters
    ----------
    melody : sequence of Note
        Times are those of the song.
    rng : Generator
    n_samples : int
        Of the song at 44.1 kHz.
    leave_out : bool
        Sing nothing.

    Returns
    -------
    voice : ndarray, shape (sample,)
        44.1 kHz.
    notes : list of Note
        As sung.
    """
    voice = np.zeros(n_samples, dtype=np.float32)
    notes = list[Note]()
    for score in [] if leave_out else _turns(melody, rng):
        from_zero = [replace(n, onset=n.onset - score[0].onset, offset=n.offset - score[0].onset) for n in score]
        sung = sing(from_zero, int(rng.integers(2**31)), config)
        if not sung.notes:
            continue
        audio = resample(sung.audio, sung.sample_rate, BAND_SAMPLE_RATE)
        level = max(active_level(audio[None]), 1e-6)
        audio = audio * np.float32(0.1 / level * 10.0 ** (rng.normal(0.0, SPREAD_DB) / 20.0))
        # the first note of the score is sung where its label is: the whole number of samples keeps the labels exact
        start = round((score[0].onset - sung.notes[0].onset) * BAND_SAMPLE_RATE)
        first, last = max(0, start), min(n_samples, start + len(audio))
        voice[first:last] += audio[first - start : last - start]
        notes += _moved(sung.notes, start / BAND_SAMPLE_RATE, n_samples / BAND_SAMPLE_RATE)
    return voice, sorted(notes)


def _moved(notes: Sequence[Note], shift: float, end: float) -> list[Note]:
    """Move notes by seconds, and keep those that begin inside the song."""
    moved = [replace(note, onset=note.onset + shift, offset=min(note.offset + shift, end)) for note in notes]
    return [note for note in moved if note.onset >= 0 and note.duration > 0.03]


def _turns(melody: Sequence[Note], rng: Generator) -> list[list[Note]]:
    """Divide a melody among singers at rests, each in a random octave of the range of a voice."""
    phrases: list[list[Note]] = []
    for note in melody:
        if phrases and note.onset - phrases[-1][-1].offset < PHRASE_REST:
            phrases[-1].append(note)
        else:
            phrases.append([note])
    n_singers = min(len(phrases), int(rng.integers(1, MAX_SINGERS + 1)))
    turns = []
    for share in np.array_split(np.arange(len(phrases)), n_singers) if n_singers else []:
        score = [note for number in share for note in phrases[int(number)]]
        middle = float(np.median([note.pitch for note in score]))
        octave = 12 * round((draw_centre(rng) - middle) / 12)
        octave -= 12 * (middle + octave > HIGHEST_MIDDLE)
        turns.append([replace(note, pitch=float(np.clip(note.pitch + octave, 34, 90))) for note in score])
    return turns


def _backing_vocals(song: Song, rng: Generator, n_samples: int) -> NDArray[np.float32]:
    """Sing one or two harmonies of the melody on chord tones, softer than the lead, which has level 1: (2, sample)."""
    total = np.zeros((2, n_samples), dtype=np.float32)
    for _ in range(int(rng.integers(1, 3))):
        interval = int(rng.choice(HARMONIES))
        line = as_one_voice(song.bridge) if song.bridge and rng.random() < BRIDGE_SHARE else song.melody
        score = [replace(note, pitch=_nearest_tone(note, interval, song.chord_at(note.onset))) for note in line]
        kept = [note for note in score if rng.random() < 0.85]
        dry, _ = sing_song(kept, rng, n_samples)
        sung = produce_voice(dry, rng, wetter=6.0)
        pan = rng.uniform(-0.8, 0.8)
        level = 10.0 ** (rng.uniform(-20.0, -8.0) / 20.0) / max(active_level(sung), 1e-9)
        total += np.asarray(sung * level * np.sqrt([[1 - pan], [1 + pan]]), dtype=np.float32)
    return total


def _nearest_tone(note: Note, interval: int, tones: tuple[int, ...]) -> float:
    """Transpose a note by an interval, to the nearest tone of the chord."""
    wanted = note.pitch + interval
    near = [step for step in (0, -1, 1, -2, 2) if not tones or round(wanted + step) % 12 in tones]
    return float(np.clip(wanted + (near[0] if near else 0), 34, 90))


def _excerpt(song: Song, seconds: float, rng: Generator, notes: Sequence[Note] | None) -> Song:
    """Cut a random excerpt in which somebody sings, of random tempo; transposed to fit recorded notes."""
    stretch = float(np.exp(rng.uniform(np.log(0.8), np.log(1.25))))
    last = max(0.0, song.melody[-1].offset - 0.6 * seconds / stretch)
    start = float(rng.uniform(max(0.0, min(song.melody[0].onset - 5.0, last)), last)) if last else 0.0
    shift = int(rng.integers(-5, 7)) if notes is None else _fitting_shift(song, notes)
    return cut_excerpt(song, start, seconds, stretch, shift)


def _fitting_shift(song: Song, notes: Sequence[Note]) -> int:
    """Find the transposition of a song whose pitch classes agree best with those of sung notes."""

    def histogram(items: Sequence[Note]) -> NDArray[np.float64]:
        classes = np.array([round(note.pitch) % 12 for note in items], dtype=np.int64)
        return np.asarray(np.bincount(classes, [note.duration for note in items], 12), dtype=np.float64)

    band, sung = histogram([*song.piano, *song.melody]), histogram(notes)
    scores = [float(np.roll(band, shift) @ sung) for shift in range(12)]
    shift = int(np.argmax(scores))
    return shift if shift <= 6 else shift - 12


def _recorded_voice(job: MixtureJob, rng: Generator, n_samples: int) -> tuple[NDArray[np.float32], list[Note]] | None:
    """Read the recorded voice of a job, if it has one: an excerpt at 44.1 kHz as long as the song, and its notes."""
    if job.pair is None or job.aligned is None:
        return None
    audio, rate = read_audio(voice_path(job.aligned, job.pair.corpus, job.pair.pair_id))
    audio = resample(to_mono(audio), rate, BAND_SAMPLE_RATE)
    start = int(rng.integers(0, max(1, len(audio) - n_samples + 1)))
    late = int(rng.integers(0, max(1, min(3 * BAND_SAMPLE_RATE, n_samples - len(audio)))))
    voice = np.zeros(n_samples, dtype=np.float32)
    part = audio[start : start + n_samples - late]
    voice[late : late + len(part)] = part
    notes = _moved(job.pair.notes, (late - start) / BAND_SAMPLE_RATE, n_samples / BAND_SAMPLE_RATE)
    return voice, notes
