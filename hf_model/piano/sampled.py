"""The sampled piano: notes to audio from recorded notes of a grand piano, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, seconds_to_samples
from hf_model.config import ConfigError, check_range
from hf_model.notes.note import LOWEST_KEY, Note
from hf_model.piano.brightness import equalize, filter_gains
from hf_model.piano.recordings import DecodedNotes, PianoSet
from hf_model.piano.rendering import damp_repeated, fade_end
from hf_model.weights import WEIGHTS, WEIGHTS_FILE, damaged, read_config, read_tensors

SILENCE_DB = 96.0
"""Damping after which a released note is cut."""

MIN_NOTE = 0.01
"""Seconds; a shorter note sounds this long, as on the reference instrument."""

LOOP_FROM, LOOP_BLEND = 9.4, 0.1
"""Seconds: start and length of the cross-fade from a held note to its loop (the recordings fade from 9.5 s on)."""

LOOP_MATCH = 0.3
"""Seconds before the loop over which the level of its first repetition is matched."""


class SampledPiano:
    """A piano that plays recorded notes.

    A velocity between two recorded ones is a mix of both where neighbouring layers are the same recording behind
    different filters, so that they add in phase; or else the nearest one, with the brightness between both.

    Parameters
    ----------
    piano_set : PianoSet
    channels : {1, 2}
        2: stereo as recorded; 1: the mean of both channels.
    """

    def __init__(self, piano_set: PianoSet, channels: int = 2) -> None:
        check_range("channels", channels, 1, 2)
        self.channels = channels
        self.piano_set = piano_set
        self._decoded = DecodedNotes(piano_set, channels)

    @classmethod
    def load(cls, folder: Path | str = WEIGHTS / "piano", channels: int = 2) -> SampledPiano:
        """Read the set that ``python -m hf_model.piano.build_samples`` wrote.

        Raises
        ------
        FileNotFoundError
            If the folder holds no set.
        ConfigError
            If the folder holds another model.
        WeightsError
            If the set is damaged.
        """
        settings: dict[str, Any] = read_config(folder)
        if settings.get("kind") != "piano":
            msg = f"{folder} holds a {settings.get('kind')!r} model, expected 'piano'"
            raise ConfigError(msg)
        tensors = read_tensors(folder, settings)
        try:
            return cls(PianoSet(**tensors), channels)
        except TypeError as error:
            raise damaged(Path(folder) / WEIGHTS_FILE, error) from error

    def render(self, notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
        """Render notes.

        Parameters
        ----------
        notes : sequence of Note
            Integer pitches 21-108; onsets are exact to the sample; notes may begin before 0 or end after the audio. A
            key that is struck again is damped first.
        n_samples : int
            Length of the result.

        Returns
        -------
        ndarray, shape (channel, n_samples)
            44.1 kHz, at absolute level (a single loud note peaks below 1).

        Raises
        ------
        ValueError
            For a pitch that is no key, or a negative length.
        """
        if n_samples < 0:
            msg = f"n_samples is {n_samples}, must not be negative"
            raise ValueError(msg)
        audio = np.zeros((self.channels, n_samples), dtype=np.float32)
        for note in damp_repeated(notes):
            begin = seconds_to_samples(note.onset, PIANO_SAMPLE_RATE)
            skip = max(0, -begin)
            sound = self.note_audio(int(note.pitch), note.velocity, note.duration, n_samples - begin)[:, skip:]
            audio[:, begin + skip : begin + skip + sound.shape[1]] += sound
        fade_end(audio)
        return audio

    def note_audio(self, key: int, velocity: int, duration: float, max_samples: int) -> NDArray[np.float32]:
        """Render one note (channel, sample), at most ``max_samples`` long, from its onset to the end of its release."""
        release = float(self.piano_set.release[key - LOWEST_KEY, velocity])
        held = seconds_to_samples(max(duration, MIN_NOTE), PIANO_SAMPLE_RATE)
        n_samples = max(0, min(max_samples, held + round(SILENCE_DB / release * PIANO_SAMPLE_RATE)))
        sound = self.held_key_audio(key, velocity, n_samples)
        if sound.shape[1] > held:
            seconds = np.arange(sound.shape[1] - held, dtype=np.float32) / PIANO_SAMPLE_RATE
            sound[:, held:] *= np.exp(np.float32(-release / 20.0 * np.log(10.0)) * seconds)
        return sound

    def held_key_audio(self, key: int, velocity: int, n_samples: int) -> NDArray[np.float32]:
        """Render a held key (channel, sample); shorter than ``n_samples`` if the string is silent before."""
        recorded, row = self.piano_set, key - LOWEST_KEY
        below = max(0, int(np.searchsorted(recorded.velocities, velocity, side="right")) - 1)
        layers = below, min(below + 1, len(recorded.velocities) - 1)
        gains = recorded.mix[row, velocity]
        parts = [
            self._decoded.audio(row, layer, n_samples, gain) for layer, gain in zip(layers, gains, strict=True) if gain
        ]
        sound, *others = sorted(parts, key=lambda part: -part.shape[1])
        for other in others:
            sound[:, : other.shape[1]] += other
        louder = layers[int(abs(gains[1]) > abs(gains[0]))]
        if recorded.brightness is not None and velocity != recorded.velocities[louder]:
            sound = equalize(sound, filter_gains(recorded.brightness[row], recorded.velocities, louder, velocity))
        return _prolong_channels(
            sound, n_samples, int(recorded.loop[row, louder]), float(recorded.loop_gain[row, louder])
        )


def _prolong_channels(sound: NDArray[np.float32], n_samples: int, loop: int, gain: float) -> NDArray[np.float32]:
    """Extend a recording (channel, sample): the mean of its channels, and half their difference."""
    if sound.shape[0] == 1:
        return prolong(sound[0], n_samples, loop, gain)[np.newaxis]
    if not needs_loop(n_samples, loop):
        return sound
    middle, side = (
        prolong(part, n_samples, loop, gain) for part in ((sound[0] + sound[1]) / 2, (sound[0] - sound[1]) / 2)
    )
    return np.stack([middle + side, middle - side])


def needs_loop(n_samples: int, loop: int) -> bool:
    """Whether a note is longer than its recording, and its string still sounds then."""
    return loop > 0 and n_samples > seconds_to_samples(LOOP_FROM, PIANO_SAMPLE_RATE)


def prolong(sound: NDArray[np.float32], n_samples: int, loop: int, gain: float) -> NDArray[np.float32]:
    """Extend a recording (sample,) by a loop from ``LOOP_FROM`` on, ``gain`` per repetition, as the reference does."""
    begin, n_blend = seconds_to_samples(LOOP_FROM, PIANO_SAMPLE_RATE), seconds_to_samples(LOOP_BLEND, PIANO_SAMPLE_RATE)
    if not needs_loop(n_samples, loop):
        return sound
    longer = np.zeros(n_samples, dtype=np.float32)
    longer[: len(sound)] = sound
    ending = longer[begin : begin + n_blend].copy()
    known = slice(begin - seconds_to_samples(LOOP_MATCH, PIANO_SAMPLE_RATE), begin)
    earlier = longer[known.start - loop : known.stop - loop]
    factor = float(np.sqrt(np.sum(longer[known] ** 2) / max(float(np.sum(earlier**2)), 1e-30)))
    for first in range(begin, n_samples, loop):
        width = min(loop, n_samples - first)
        longer[first : first + width] = min(factor, 1.0) * longer[first - loop : first - loop + width]
        factor = gain
    blend = np.linspace(0.0, 1.0, n_blend, dtype=np.float32)[: len(ending)]
    longer[begin : begin + n_blend] = (1.0 - blend) * ending + blend * longer[begin : begin + n_blend]
    return longer
