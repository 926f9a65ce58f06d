"""Single notes to train on: their range, lengths and velocities; soft playing, crops and mixtures of a batch."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_model.alignment.band import Part
from hf_model.instruments.classes import CLASSES, DECAYING, DRUMS, INSTRUMENTS, PROGRAMS, VOICE, VOICES, WHISTLING
from hf_model.instruments.config import InstrumentConfig
from hf_model.instruments.network import InstrumentNetwork
from hf_model.instruments.spectrogram import FRAME_RATE, N_MELS
from hf_model.training.instruments import fitting, single_notes
from hf_model.training.instruments.clips import CLIP_FRAMES, CLIP_SECONDS, GAP, InstrumentClip


def test_notes_cover_keyboard_velocities_and_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: dict[tuple[str, int], Part] = {}
    groups = set()

    def record(part: Part, count: int, _font: Path, name: str, _rng: object, group: str) -> list[object]:
        assert len(part.notes) == count
        parts[name, part.program] = part
        groups.add(group)
        return []

    monkeypatch.setattr(single_notes, "rendered", record)
    assert list(single_notes.note_clips(Path("some.sf2"), 200, 1)) == []
    assert {name for name, _ in parts} == {*PROGRAMS, DRUMS}
    assert groups == {"some.sf2, notes"}, "drawn as often as the phrases of the font"
    notes = [note for (name, _), part in parts.items() if name == "piano" for note in part.notes]
    assert min(note.pitch for note in notes) == 21
    assert max(note.pitch for note in notes) == 108
    assert min(note.velocity for note in notes) < 15
    assert max(note.velocity for note in notes) > 120
    assert min(note.duration for note in notes) < 0.2
    assert max(note.duration for note in notes) > 4.0
    onsets = np.array([note.onset % (CLIP_SECONDS + GAP) for note in notes])
    assert np.mean(onsets < 0.02) > 0.3, "at the start"
    assert np.mean(onsets > 0.2) > 0.2, "after silence"
    assert all(note.onset // (CLIP_SECONDS + GAP) == (note.offset - 1e-9) // (CLIP_SECONDS + GAP) for note in notes)


@pytest.mark.skipif(shutil.which("fluidsynth") is None, reason="FluidSynth is not installed")
def test_notes_of_a_sound_font(monkeypatch: pytest.MonkeyPatch) -> None:
    from hf_model.alignment.band_audio import TEST_FONT, find_font

    try:
        font = find_font(TEST_FONT)
    except FileNotFoundError:
        pytest.skip("no sound font")
    monkeypatch.setattr(single_notes, "PROGRAMS", {"piano": (0,), "flute": (73,)})
    clips = list(single_notes.note_clips(font, 3, 0))
    names = [name for clip in clips for name in clip.names]
    assert names.count("piano") > names.count("flute") >= 2
    assert all(clip.power.shape == (CLIP_FRAMES, N_MELS) for clip in clips)


def test_sung_notes() -> None:
    clips = list(single_notes.sung_note_clips(6, 1))
    assert len(clips) == 6
    assert all(clip.names & {VOICE, WHISTLING} for clip in clips)
    assert all(clip.power[-10:].sum() < 0.01 * clip.power.sum() for clip in clips), "a note, then silence"


def test_soft_playing_takes_high_partials_and_time() -> None:
    rng = np.random.default_rng(0)
    flat = np.ones((100, N_MELS), dtype=np.float32)
    played = [fitting._played_softly(flat, rng) for _ in range(60)]
    assert all(part.max() <= 1.0 for part in played), "never louder"
    levels = np.array([[10.0 * np.log10(part[0, -1]), 10.0 * np.log10(part[-1, 0])] for part in played])
    assert -fitting.DARKEST - 0.01 < levels[:, 0].min() < -20.0
    assert -fitting.FASTEST * 100 / FRAME_RATE < levels[:, 1].min() < -3.0
    assert 0.2 < np.mean(levels.min(axis=1) > -0.01) < 0.6, "many stay as they are"
    assert {*DECAYING} < {*INSTRUMENTS}
    assert not DECAYING & {VOICE, *VOICES, "organ", "strings", "flute"}


def test_a_batch_mixes_up_to_five_clips_of_any_length() -> None:
    rng = np.random.default_rng(0)
    power = rng.random((CLIP_FRAMES, N_MELS)).astype(np.float32)
    clips = [InstrumentClip(frozenset({name}), power, "font") for name in INSTRUMENTS]
    lengths, counts = set(), set()
    for _ in range(30):
        spectrograms, targets = fitting.make_batch(fitting._pools(clips), rng, 8)
        lengths.add(spectrograms.shape[1])
        counts |= set(targets.sum(axis=1).astype(int))
        assert targets.shape == (8, len(CLASSES))
    assert lengths == set(fitting.FRAMES)
    assert {1, 2, 3, 4} <= counts <= {1, 2, 3, 4, 5}


def test_a_crop_may_lie_after_the_attack_but_not_in_silence() -> None:
    rng = np.random.default_rng(0)
    power = np.zeros((CLIP_FRAMES, 1), dtype=np.float32)
    power[:120, 0] = 10.0 ** (-np.arange(120) / 40.0)  # dies away by 30 dB, then nothing
    crops = [fitting._crop(power, 100, rng) for _ in range(200)]
    assert all(crop.sum() > 0.0 for crop in crops)
    assert {crop[0, 0] < 0.5 for crop in crops} == {True, False}


def test_a_blend_lies_between_and_measures_its_statistics() -> None:
    config = InstrumentConfig(channels=(4, 4), width=8)
    start, trained = InstrumentNetwork(config), InstrumentNetwork(config)
    expected = 0.25 * start.output.weight + 0.75 * trained.output.weight
    power = np.random.default_rng(0).random((CLIP_FRAMES, N_MELS)).astype(np.float32)
    blended = fitting.blend(start, trained, 0.25, [InstrumentClip(frozenset({"piano"}), power, "font")])
    torch.testing.assert_close(blended.output.weight, expected)
    assert not blended.training
    means = [module.running_mean for module in blended.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert all(mean is not None and bool(mean.abs().sum() > 0) for mean in means)
