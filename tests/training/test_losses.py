"""Frame targets of a few notes, and losses that are lowest for the right posteriors."""

from __future__ import annotations

import pytest
import torch

from hf_model.training.losses import EDGE, frame_targets, transcriber_loss
from hf_model.transcriber.network import Posteriors, TranscriberConfig

CONFIG = TranscriberConfig(lowest_hz=200.0, pitch_bands=30)
RATE = 100.0


def notes(*rows: tuple[float, float, float]) -> torch.Tensor:
    """Onset, offset, pitch of one example, with a row of padding: (1, note, 4)."""
    return torch.tensor([[[*row, 80.0] for row in (*rows, (0.0, 0.0, 0.0))]])


# ----------------------------------------------------------------------------------------------------------- targets


def test_targets_of_one_note_on_ten_frames():
    targets = frame_targets(notes((0.03, 0.07, 62.0)), 10, RATE)
    assert targets.voicing.tolist() == [[0, 0, 0, 1, 1, 1, 1, 0, 0, 0]]
    assert targets.pitch.tolist() == [[0, 0, 0, 62, 62, 62, 62, 0, 0, 0]]
    third = 1 / 3
    torch.testing.assert_close(targets.onset[0], torch.tensor([0, third, 2 * third, 1, 2 * third, third, 0, 0, 0, 0]))
    torch.testing.assert_close(
        targets.offset[0], torch.tensor([0, 0, 0, 0, 0, third, 2 * third, 1, 2 * third, third]), atol=1e-6, rtol=0
    )


def test_an_onset_between_two_frames_favours_the_nearer():
    onset = frame_targets(notes((0.032, 0.08, 62.0)), 10, RATE).onset[0]
    assert onset[3] > onset[4] > onset[2]
    assert float(onset[3]) == pytest.approx(1 - 0.002 / EDGE, abs=1e-4)


def test_adjacent_notes_share_a_boundary():
    targets = frame_targets(notes((0.0, 0.05, 60.0), (0.05, 0.09, 60.0), (0.09, 0.2, 64.0)), 12, RATE)
    assert targets.voicing.tolist() == [[1.0] * 12]
    assert targets.pitch[0].tolist() == [60.0] * 9 + [64.0] * 3
    assert targets.onset[0, 5] == targets.offset[0, 5] == 1
    assert targets.onset[0, 9] == targets.offset[0, 9] == 1


def test_padding_and_silence_have_zero_targets():
    for rows in (torch.zeros(2, 3, 4), notes((0.02, 0.05, 0.0))):
        for target in frame_targets(rows, 10, RATE):
            assert not target.any()


def test_a_note_that_began_before_the_crop_has_no_onset_in_it():
    targets = frame_targets(notes((-0.5, 0.05, 60.0)), 10, RATE)
    assert not targets.onset.any()
    assert targets.voicing[0].tolist() == [1.0] * 5 + [0.0] * 5


# ------------------------------------------------------------------------------------------------------------ losses


def posteriors(rows: torch.Tensor, n_frames: int, probability: float, shift: float = 0.0) -> Posteriors:
    """Posteriors of the notes, ``shift`` semitones off, with a given probability of the right answer."""
    targets = frame_targets(rows, n_frames, RATE)
    centres = CONFIG.lowest_pitch + CONFIG.pitch_step * torch.arange(CONFIG.n_pitch_bins)
    pitch = -0.5 * ((centres - targets.pitch[:, :, None] - shift) / 0.3) ** 2
    clipped = [target.clamp(1 - probability, probability).logit() for target in targets[:3]]
    return Posteriors(*clipped, pitch * targets.voicing[:, :, None])


def loss(given: Posteriors, rows: torch.Tensor, n_frames: int = 60) -> dict[str, float]:
    lengths = torch.full((len(rows),), n_frames)
    parts = transcriber_loss(given, rows, lengths, CONFIG, RATE)
    return {name: float(value) for name, value in parts.items()}


ROWS = notes((0.1, 0.3, 62.0), (0.3, 0.5, 57.0))


def test_the_total_is_the_weighted_sum_of_its_parts():
    parts = loss(posteriors(ROWS, 60, 0.9), ROWS)
    assert parts["loss"] == pytest.approx(
        3 * parts["onset"] + 3 * parts["offset"] + parts["voicing"] + 0.5 * parts["pitch"]
    )


def test_a_higher_probability_of_the_truth_has_less_loss():
    losses = [loss(posteriors(ROWS, 60, p), ROWS)["voicing"] for p in (0.5, 0.7, 0.9, 0.99)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] == pytest.approx(0.6931, abs=1e-4)


def test_each_part_depends_on_its_head_alone():
    right = posteriors(ROWS, 60, 0.95)
    expected = loss(right, ROWS)
    for name in ("onset", "offset", "voicing"):
        wrong = loss(right._replace(**{name: -getattr(right, name)}), ROWS)
        assert [part for part in ("onset", "offset", "voicing", "pitch") if wrong[part] > expected[part] + 1e-6] == [
            name
        ]
    off_pitch = loss(posteriors(ROWS, 60, 0.95, shift=1.0), ROWS)
    assert off_pitch["pitch"] > expected["pitch"] + 1
    assert off_pitch["onset"] == pytest.approx(expected["onset"])


def test_the_pitch_loss_is_lowest_at_the_true_pitch():
    shifts = [-0.5, -0.25, 0.0, 0.25, 0.5]
    found = [loss(posteriors(ROWS, 60, 0.95, shift), ROWS)["pitch"] for shift in shifts]
    assert found.index(min(found)) == 2


def test_silent_pitch_and_invalid_frames_do_not_count():
    given = posteriors(ROWS, 60, 0.9)
    noisy = given._replace(
        pitch=given.pitch + 5 * torch.randn(given.pitch.shape) * (1 - given.voicing.sign())[..., None]
    )
    assert loss(noisy, ROWS)["pitch"] == pytest.approx(loss(given, ROWS)["pitch"])
    changed = Posteriors(*(torch.cat([part[:, :40], torch.full_like(part[:, 40:], 7.0)], dim=1) for part in given))
    assert loss(changed, ROWS, 40) == pytest.approx(loss(given, ROWS, 40))
    assert loss(changed, ROWS, 41) != pytest.approx(loss(given, ROWS, 41))


def test_an_example_without_frames_has_zero_loss():
    parts = loss(posteriors(ROWS, 60, 0.9), ROWS, 0)
    assert set(parts.values()) == {0.0}


def test_gradients_reach_every_head():
    given = Posteriors(*(part.requires_grad_() for part in posteriors(ROWS, 60, 0.9)))
    transcriber_loss(given, ROWS, torch.tensor([60]), CONFIG, RATE)["loss"].backward()
    assert all(part.grad is not None and part.grad.abs().sum() > 0 and part.grad.isfinite().all() for part in given)
