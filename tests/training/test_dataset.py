"""Examples and batches: crops keep voice, piano and notes aligned; a step's batch follows from the step alone."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_model.training.dataset import Segments, StepSampler, collate, hash_seed, to_complex, train_loader, valid_loader
from hf_model.training.fit_config import FitConfig

COLUMNS = ("voice_stft", "piano_stft", "notes")


# ------------------------------------------------------------------------------------------------------------- crops


def test_a_crop_is_a_part_of_its_segment_with_its_notes(shards):
    whole, cropped = Segments(shards, "train", COLUMNS), Segments(shards, "train", COLUMNS, crop_frames=40)
    starts = set()
    for seed in range(20):
        segment, crop = whole[0, seed], cropped[0, seed]
        assert crop["voice_stft"].shape == (40, 513, 2)
        assert crop["piano_stft"].shape == (40, 1025, 2)
        assert int(crop["n_frames"]) == 40
        matches = [m for m in range(89) if torch.equal(segment["voice_stft"][m : m + 40], crop["voice_stft"])]
        assert len(matches) == 1
        start = matches[0]
        starts.add(start)
        assert torch.equal(segment["piano_stft"][start : start + 40], crop["piano_stft"])
        moved = segment["notes"].clone()
        moved[:, :2] -= start / 100
        expected = moved[(moved[:, 1] > 0) & (moved[:, 0] < 0.4)]
        torch.testing.assert_close(crop["notes"], expected)
    assert len(starts) > 5


def test_crops_reach_the_last_valid_frame_and_none_beyond(shards):
    data = Segments(shards, "train", COLUMNS, crop_frames=100)
    # 2.5 s are 251 frames: segments of 128 and 123
    last = next(n for n in range(len(data)) if int(data.index[n]["n_frames"]) == 123)
    lengths = {int(data[last, seed]["n_frames"]) for seed in range(50)}
    assert lengths == {100}
    short = Segments(shards, "train", COLUMNS, crop_frames=125)[last, 0]
    assert int(short["n_frames"]) == 123
    assert short["voice_stft"].shape[0] == 125
    assert not short["voice_stft"][123:].any()


def test_only_the_given_columns_and_corpora_are_read(shards):
    assert set(Segments(shards, "train", ("voice_stft",))[0, 0]) == {"voice_stft", "n_frames", "tuning"}
    assert len(Segments(shards, "train", COLUMNS, corpora=["other"])) == 0


def test_the_segments_of_a_corpus_are_repeated(shards):
    once, thrice = (Segments(shards, "train", COLUMNS, repeats=repeats) for repeats in ({"other": 5}, {"tiny": 3}))
    assert (len(once), len(thrice)) == (6, 18)
    for number in range(6):
        for copy in range(3):
            assert torch.equal(thrice[3 * number + copy, 0]["voice_stft"], once[number, 0]["voice_stft"])


def test_a_singer_may_have_a_number_of_repeats_of_their_own(shards):
    once = Segments(shards, "train", COLUMNS)
    singers = once.index.singers()
    assert singers == [once.index[number]["singer"] for number in range(len(once))]
    rare = singers[0]
    assert 0 < singers.count(rare) < len(singers)
    listed = Segments(shards, "train", COLUMNS, repeats={"tiny": 3, rare: 2}).numbers
    assert [int((listed == number).sum()) for number in range(len(once))] == [
        2 if one == rare else 3 for one in singers
    ]


def test_a_crop_longer_than_a_segment_is_the_segment(shards):
    assert Segments(shards, "train", ("voice_stft",), crop_frames=10_000)[0, 3]["voice_stft"].shape[0] == 128


def test_notes_are_padded_with_rows_of_pitch_zero():
    crops = [{"n_frames": torch.tensor(n), "notes": torch.ones(n, 4)} for n in (2, 0, 3)]
    batch = collate(crops)
    assert batch["notes"].shape == (3, 3, 4)
    assert batch["notes"][:, :, 2].tolist() == [[1, 1, 0], [0, 0, 0], [1, 1, 1]]
    assert batch["n_frames"].tolist() == [2, 0, 3]
    assert collate(crops[1:2])["notes"].tolist() == [[[0, 0, 0, 0]]], "silence has a row of padding"
    assert "notes" not in collate([{"n_frames": torch.tensor(1)}])


# ----------------------------------------------------------------------------------------------------------- sampler


def sampler(n_segments=7, batch_size=4, interval=10, n_steps=10_000, seed=0, next_step=0, **process) -> StepSampler:
    return StepSampler(n_segments, batch_size, interval, n_steps, seed, lambda: next_step, **process)


def test_every_epoch_has_every_segment_once_in_a_new_order():
    keys = [key for step in range(14) for key in sampler().batch(step)]  # 56 examples: 8 epochs of 7 segments
    epochs = [[number for number, _ in keys[at : at + 7]] for at in range(0, 56, 7)]
    assert all(sorted(order) == list(range(7)) for order in epochs)
    assert len({tuple(order) for order in epochs}) > 4
    assert len({seed for _, seed in keys}) == 56, "every crop has a seed of its own"


@given(st.integers(1, 30), st.integers(0, 10), st.integers(0, 60), st.integers(1, 12), st.integers(1, 60))
def test_a_sampler_continues_from_any_step(n_segments, seed, step, interval, n_steps):
    step = min(step, n_steps - 1)
    whole = [sampler(n_segments, 3, interval, n_steps, seed).batch(number) for number in range(n_steps)]
    resumed = sampler(n_segments, 3, interval, n_steps, seed, step)
    stop = min((step // interval + 1) * interval, n_steps)
    assert list(resumed) == whole[step:stop]
    assert len(resumed) == stop - step // interval * interval, "steps already done are counted"


def test_a_finished_training_has_no_batches():
    assert list(sampler(next_step=10, n_steps=10)) == []
    assert len(sampler(next_step=10, n_steps=10)) == 10


@pytest.mark.parametrize("world_size", [2, 4])
def test_the_ranks_divide_the_batch_of_one_process(world_size):
    for step in (0, 1, 5):
        parts = [sampler(batch_size=8, rank=rank, world_size=world_size).batch(step) for rank in range(world_size)]
        assert {len(part) for part in parts} == {8 // world_size}
        assert Counter(key for part in parts for key in part) == Counter(sampler(batch_size=8).batch(step))


def test_batches_follow_from_the_seed():
    assert sampler(seed=1).batch(3) == sampler(seed=1).batch(3)
    assert sampler(seed=1).batch(3) != sampler(seed=2).batch(3)


def test_impossible_batches_are_rejected():
    with pytest.raises(ValueError, match="no training segments"):
        sampler(n_segments=0)
    with pytest.raises(ValueError, match="batch_size is 4, it must be a multiple of the number of processes, 3"):
        sampler(world_size=3)


def test_hashed_seeds_are_distinct_and_have_63_bits():
    seeds = {hash_seed(a, b) for a in range(30) for b in range(30)}
    assert len(seeds) == 900
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert hash_seed(1, 2) != hash_seed(2, 1)


# ----------------------------------------------------------------------------------------------------------- loaders


def test_the_train_loader_yields_the_rest_of_the_interval(shards):
    fit = FitConfig(steps=10, batch_size=2, crop_frames=40, validate_every=4)
    step = 0
    loader = train_loader(shards, COLUMNS, fit, 0, lambda: step)
    whole = list(loader)
    assert len(whole) == 4
    assert whole[0]["voice_stft"].shape == (2, 40, 513, 2)
    step = 2
    rest = list(loader)
    assert len(rest) == 2
    assert all(torch.equal(one["voice_stft"], other["voice_stft"]) for one, other in zip(whole[2:], rest, strict=True))
    step = 8
    assert len(list(loader)) == len(loader) == 2, "the last interval is shorter"


def test_spectra_are_float16_until_converted(shards):
    data = Segments(shards, "train", COLUMNS)
    batch = collate([data[number, 0] for number in (0, 3)])
    assert batch["voice_stft"].dtype == torch.float16
    converted = to_complex(batch)
    for row, number in enumerate((0, 3)):
        for name in ("voice_stft", "piano_stft"):
            assert torch.equal(converted[name][row], torch.from_numpy(data.index[number][name]))
    assert converted["notes"] is batch["notes"]
    assert to_complex(converted)["voice_stft"] is converted["voice_stft"]


def test_the_ranks_divide_the_validation(shards):
    fit = FitConfig(batch_size=2, valid_segments=64)
    whole = [batch["n_frames"].tolist() for batch in valid_loader(shards, COLUMNS, fit, 0)]
    shares = [list(valid_loader(shards, COLUMNS, fit, 0, rank, 2)) for rank in (0, 1)]
    assert [batch["n_frames"].tolist() for share in shares for batch in share] == whole
    assert len(list(valid_loader(shards, COLUMNS, fit, 0, 2, 3))) == 2, "fewer batches than processes: each gets all"


def test_the_valid_loader_covers_the_split(shards):
    fit = FitConfig(batch_size=2, valid_segments=64)
    batches = list(valid_loader(shards, COLUMNS, fit, 0))
    assert [batch["n_frames"].tolist() for batch in batches] == [[128], [123]]
    assert len(list(valid_loader(shards, COLUMNS, FitConfig(valid_segments=1), 0))) == 1
    first, again = (next(iter(valid_loader(shards, COLUMNS, fit, 0))) for _ in range(2))
    assert torch.equal(first["voice_stft"], again["voice_stft"])
