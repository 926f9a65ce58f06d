"""Provisional notes: causal rules on the posteriors of the last moments, while the singer goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hf_model.config import check_range

FloatArray = NDArray[np.floating]

PEAK_REACH = 3
"""Frames on either side in which an onset has the highest probability."""

NEAR = 0.6
"""Semitones around their median in which frames agree on a pitch."""

NEW_PITCH = 0.75
"""Semitones from the note that sounds."""

LOST = 0.4
"""Probability of voicing below which a frame is not sung."""

ATTACK_FRAMES = 4
"""Frames at the beginning of a note that do not count for its corrected pitch."""

SETTLED = 0.6
"""Share of the frames that agree on the corrected pitch."""


@dataclass(frozen=True)
class TrackerConfig:
    """Thresholds of the rules; fitted with ``python -m bench live --fit`` on training singers and made voices.

    Attributes
    ----------
    onset : float
        Probability from which a local maximum is an onset.
    soft_onset : float
        The same if the pitch changes by ``NEW_PITCH`` or more there, or after silence.
    voicing, agreement : float
        Mean probability of voicing, and share of the frames that agree on the pitch, from which a note sounds.
    hold_frames : int
        Frames after an onset that are needed for both.
    separation_frames : int
        Frames between two onsets, at least.
    patience_frames : int
        Frames after which an onset without a stable pitch is dropped.
    silence_frames : int
        Frames without voicing that end a note.
    settle_frames : int
        Frames after which the pitch of a note is corrected to the median of all since.
    change : float
        Semitones by which that must differ.
    """

    onset: float = 0.5
    soft_onset: float = 0.3
    voicing: float = 0.8
    agreement: float = 0.8
    hold_frames: int = 8
    separation_frames: int = 8
    patience_frames: int = 40
    silence_frames: int = 5
    settle_frames: int = 16
    change: float = 0.5

    def __post_init__(self) -> None:
        """Check all ranges."""
        check_range("onset", self.onset, 0.01, 0.99)
        check_range("soft_onset", self.soft_onset, 0.01, self.onset)
        check_range("voicing", self.voicing, 0.0, 1.0)
        check_range("agreement", self.agreement, 0.0, 1.0)
        check_range("hold_frames", self.hold_frames, 2, 30)
        check_range("patience_frames", self.patience_frames, self.hold_frames, 100)

    @property
    def tail_frames(self) -> int:
        """Frames before the end of the audio that the rules look at."""
        return self.patience_frames + PEAK_REACH + 1


@dataclass(frozen=True)
class TrackedNote:
    """A provisional note.

    Attributes
    ----------
    number : int
        Counts the provisional notes of a recording from 0.
    onset, offset : int
        Frames; the offset is None while the note sounds.
    pitch : float
        MIDI number.
    confidence : float
        Probability of its onset.
    """

    number: int
    onset: int
    pitch: float
    confidence: float
    offset: int | None = None


Change = tuple[Literal["on", "pitch", "off"], TrackedNote]
"""What happened to a provisional note: it began, its pitch was corrected, it ended."""


class NoteTracker:
    """Follow the notes in posteriors whose last frames are those of the audio that has arrived.

    The posteriors of a frame change while more of what follows it becomes known, so every call gives all of the last
    ones again.
    """

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self.config = config or TrackerConfig()
        self.sounding: TrackedNote | None = None
        self._n_notes = 0
        self._last_onset = -1_000_000  # frame

    def update(self, first: int, onset: FloatArray, voicing: FloatArray, pitch: FloatArray) -> list[Change]:
        """Take the posteriors up to now.

        Parameters
        ----------
        first : int
            Frame of the recording at which they begin.
        onset, voicing : ndarray, shape (frame,)
            Probabilities.
        pitch : ndarray, shape (frame,)
            The most likely pitch of each frame, a MIDI number.
        """
        changes: list[Change] = []
        peaks = list(self._peaks(first, onset))
        for number, peak in enumerate(peaks):
            stop = peaks[number + 1] if number + 1 < len(peaks) else len(onset)
            found = self._stable_pitch(voicing[peak:stop], pitch[peak:stop])
            is_clear = onset[peak] >= self.config.onset
            if found is not None and (is_clear or self._is_new(found, pitch[peak + 2 : stop])):
                changes += self._end(first + peak)
                changes.append(self._begin(first + peak, found, float(onset[peak])))
        changes += self._follow(first, voicing, pitch)
        return changes

    def finish(self, frame: int) -> list[Change]:
        """End the note that sounds, at the end of the recording."""
        return self._end(frame)

    def _peaks(self, first: int, onset: FloatArray) -> Iterator[int]:
        """Yield the onsets that are not decided: local maxima, late enough after the last note's."""
        config = self.config
        last = self._last_onset
        for at in range(max(0, len(onset) - config.patience_frames), len(onset) - config.hold_frames):
            around = onset[max(0, at - PEAK_REACH) : at + PEAK_REACH + 1]
            is_late = first + at - last >= config.separation_frames
            if is_late and onset[at] >= config.soft_onset and onset[at] >= around.max():
                last = first + at
                yield at

    def _stable_pitch(self, voicing: FloatArray, pitch: FloatArray) -> float | None:
        """Give the pitch of the frames after an onset, if they are voiced and agree on it."""
        config = self.config
        voiced, pitches = voicing[2:], pitch[2:]
        if len(voiced) < config.hold_frames - 1:
            return None
        recent = pitches[-max(4, config.hold_frames - 1) :]
        middle = float(np.median(recent))
        share = float(np.mean(np.abs(recent - middle) <= NEAR))
        is_sung = float(voiced[-max(4, config.hold_frames - 1) :].mean()) >= config.voicing
        return middle if is_sung and share >= config.agreement else None

    def _is_new(self, pitch: float, since: FloatArray) -> bool:
        """Whether a pitch that is reached at a soft onset, and kept since, is that of another note."""
        is_other = self.sounding is None or abs(pitch - self.sounding.pitch) >= NEW_PITCH
        return is_other and float(np.mean(np.abs(since - pitch) <= NEAR)) >= self.config.agreement

    def _follow(self, first: int, voicing: FloatArray, pitch: FloatArray) -> list[Change]:
        """End the note that sounds when the voice stops, and correct its pitch when it settles on another one."""
        config, note = self.config, self.sounding
        if note is None:
            return []
        is_quiet = voicing[-config.silence_frames :] < LOST
        if is_quiet.all():
            return self._end(first + len(voicing) - config.silence_frames)
        since = pitch[max(0, note.onset + ATTACK_FRAMES - first) :]
        if len(since) < config.settle_frames or is_quiet.any():
            return []
        middle = float(np.median(since))
        share = float(np.mean(np.abs(since - middle) <= NEAR))
        if share >= SETTLED and abs(middle - note.pitch) >= config.change:
            self.sounding = replace(note, pitch=middle)
            return [("pitch", self.sounding)]
        return []

    def _begin(self, frame: int, pitch: float, confidence: float) -> Change:
        self._last_onset = frame
        self.sounding = TrackedNote(self._n_notes, frame, pitch, confidence)
        self._n_notes += 1
        return ("on", self.sounding)

    def _end(self, frame: int) -> list[Change]:
        note, self.sounding = self.sounding, None
        return [] if note is None else [("off", replace(note, offset=max(frame, note.onset + 1)))]
