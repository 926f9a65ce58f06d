"""The synthesizer's excitation in torch, for training: batches of notes, differentiable.

It computes what :mod:`hf_model.synthesizer.excitation` computes.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.notes.note import LOWEST_KEY
from hf_model.piano.mdct_codec import POWER
from hf_model.synthesizer.excitation import (
    FACTOR_KNOTS,
    HOP,
    MARGIN,
    N_KEYS,
    RISE_SAMPLES,
    SILENCE_DB,
    body_matrix,
    last_blocks,
)
from hf_model.synthesizer.partials import (
    BODY_REACH,
    BODY_SAMPLES,
    BODY_STEP,
    HAMMER_SAMPLES,
    KNOTS,
    LAST_SOFT,
    N_BANDS,
    OTHER_TABLE,
    PartialTable,
    decode_gain,
    gain_positions,
    interpolation,
    knot_weights,
)

NoteAudio = tuple[int, int, Tensor]
"""Index of a note, samples after its onset, and the audio (sample,) that begins there."""


class SoundingNotes(NamedTuple):
    """The notes that sound within a batch's crops, concatenated (note,); times in samples of the padded crop.

    ``release`` is in dB a second; ``layers`` and ``mix`` (note, 2) are the two velocity layers and their gains.
    """

    example: Tensor
    start: Tensor
    held: Tensor
    key: Tensor
    velocity: Tensor
    release: Tensor
    layers: Tensor
    mix: Tensor

    @property
    def row(self) -> Tensor:
        """Row of the table, (note,)."""
        return self.key + N_KEYS * (self.velocity > LAST_SOFT)


class TrainableExcitation(nn.Module):
    """The table of partials as buffers; with ``train_factors`` also trainable factors of its envelopes (zero: none)."""

    first: Tensor
    frequency: Tensor
    envelope: Tensor
    gain_level: Tensor
    gain_phase: Tensor
    gain_below: Tensor
    gain_share: Tensor
    hammer: Tensor
    hammer_peak: Tensor
    body: Tensor
    body_peak: Tensor
    body_gain: Tensor
    body_kernel: Tensor
    rise: Tensor
    noise: Tensor
    noise_gain: Tensor
    mix: Tensor
    release: Tensor
    velocities: Tensor
    knots: Tensor
    knot_weights: Tensor
    factor_weights: Tensor
    last_block: Tensor
    table_digest: Tensor

    def __init__(self, train_factors: bool = False) -> None:
        super().__init__()
        table = PartialTable.load()
        level, phase = decode_gain(table.gain)
        below, share = gain_positions()
        gains = {"gain_level": level, "gain_phase": phase, "gain_below": below, "gain_share": share}
        for name, value in gains.items():
            self.register_buffer(name, torch.from_numpy(value), persistent=False)
        for item in (item for item in fields(table) if item.name != "gain"):
            self.register_buffer(item.name, torch.from_numpy(np.array(getattr(table, item.name))), persistent=False)
        self.register_buffer("knots", torch.from_numpy(KNOTS.astype(np.float32)), persistent=False)
        self.register_buffer("knot_weights", torch.from_numpy(knot_weights(int(KNOTS[-1]) + 2)), persistent=False)
        factors = torch.from_numpy(interpolation(KNOTS, FACTOR_KNOTS))
        self.register_buffer("factor_weights", factors, persistent=False)
        self.register_buffer("body_kernel", torch.from_numpy(body_matrix()), persistent=False)
        rise = 0.5 - 0.5 * torch.cos(torch.arange(RISE_SAMPLES) * (math.pi / RISE_SAMPLES))
        self.register_buffer("rise", rise, persistent=False)
        self.register_buffer("table_digest", torch.tensor(table.digest))
        zeros = torch.zeros(len(table.frequency), len(FACTOR_KNOTS), 2)
        self.envelope_factor = nn.Parameter(zeros) if train_factors else None
        self.register_buffer("last_block", torch.from_numpy(last_blocks(table)), persistent=False)
        self.first_partials: list[int] = table.first.tolist()
        self.register_load_state_dict_pre_hook(_check_table)  # type: ignore[no-untyped-call]

    def select_notes(self, notes: Tensor, n_frames: int) -> SoundingNotes:
        """Select the notes (batch, note, 4) that sound within ``n_frames`` frames."""
        start = torch.floor(notes[..., 0].double() * PIANO_SAMPLE_RATE + 0.5).long() + MARGIN
        end = torch.floor(notes[..., 1].double() * PIANO_SAMPLE_RATE + 0.5).long() + MARGIN
        key = (notes[..., 2].round().long() - LOWEST_KEY).clamp(0, N_KEYS - 1)
        velocity = notes[..., 3].round().long().clamp(1, 127)
        release = self.release[key, velocity]
        silent = end + (SILENCE_DB / release * PIANO_SAMPLE_RATE).long()
        selected = (notes[..., 2] > 0) & (start < (n_frames - 1) * HOP + 2 * MARGIN) & (silent > 0)
        example, _ = torch.nonzero(selected, as_tuple=True)
        key, velocity, release = key[selected], velocity[selected], release[selected]
        below = (torch.searchsorted(self.velocities, velocity, right=True) - 1).clamp(min=0)
        layers = torch.stack([below, (below + 1).clamp(max=len(self.velocities) - 1)], dim=-1)
        held = (end - start)[selected].clamp(min=HOP)
        return SoundingNotes(example, start[selected], held, key, velocity, release, layers, self.mix[key, velocity])

    def forward(self, sounding: SoundingNotes, n_examples: int, n_frames: int) -> Tensor:
        """Render all but the noise: (batch, sample), ``MARGIN`` samples before and after the frames' centres."""
        n_samples = (n_frames - 1) * HOP + 2 * MARGIN
        audio = self.knot_weights.new_zeros(n_examples, n_samples + 2 * HAMMER_SAMPLES)
        starts = list(zip(sounding.example.tolist(), sounding.start.tolist(), strict=True))
        attacks = self.hammers(sounding, n_samples) + self.bodies(sounding, n_samples)
        for note, delay, sound in attacks + self.partials(sounding, n_samples):
            example, start = starts[note]
            begin = start + delay + HAMMER_SAMPLES
            n_rise = RISE_SAMPLES if delay == 0 else 0
            audio[example, begin : begin + n_rise] += sound[:n_rise] * self.rise[:n_rise]
            audio[example, begin + n_rise : begin + len(sound)] += sound[n_rise:]
        return audio[:, HAMMER_SAMPLES : HAMMER_SAMPLES + n_samples]

    def hammers(self, sounding: SoundingNotes, n_samples: int) -> list[NoteAudio]:
        """Render the attacks."""
        note = torch.nonzero((sounding.start > -HAMMER_SAMPLES) & (sounding.start < n_samples))[:, 0]
        key, layers = sounding.key[note, None], sounding.layers[note]
        peak = self.hammer_peak[key, layers] * sounding.mix[note]
        sound = waveform(self.hammer[key, layers], peak).sum(dim=1)
        since = torch.arange(HAMMER_SAMPLES, device=note.device)[None]
        sound = sound * damping(sounding, note[:, None], since)
        return [(number, 0, attack) for number, attack in zip(note.tolist(), sound, strict=True)]

    def bodies(self, sounding: SoundingNotes, n_samples: int) -> list[NoteAudio]:
        """Render the body of every note, from its first to its last audible block."""
        tail = sounding.held + (SILENCE_DB / sounding.release * PIANO_SAMPLE_RATE).long()
        stop = torch.minimum(tail, n_samples - sounding.start).clamp(min=0, max=BODY_SAMPLES * BODY_STEP).tolist()
        layered = self.body_gain[sounding.key[:, None], sounding.layers] * sounding.mix
        peak = self.body_peak[sounding.row] * layered.sum(dim=1)
        sounds: list[NoteAudio] = []
        for note, (row, start) in enumerate(zip(sounding.row.tolist(), sounding.start.tolist(), strict=True)):
            first = max(0, -start) // BODY_STEP
            last = -(-stop[note] // BODY_STEP)
            if last <= first:
                continue
            begin, end = max(0, first - BODY_REACH), min(BODY_SAMPLES, last + BODY_REACH)
            level = waveform(self.body[row, begin:end], peak[note])
            level = functional.pad(level, (begin - first + BODY_REACH, last + BODY_REACH - end))
            sound = (level.unfold(0, 2 * BODY_REACH + 1, 1) @ self.body_kernel).reshape(-1)
            since = torch.arange(len(sound), device=sound.device) + first * BODY_STEP
            sounds.append((note, first * BODY_STEP, sound * damping(sounding, note, since)))
        return sounds

    def partials(self, sounding: SoundingNotes, n_samples: int) -> list[NoteAudio]:
        """Render the partials of every note, from its first to its last audible block."""
        tail = sounding.held + (SILENCE_DB / sounding.release * PIANO_SAMPLE_RATE).long()
        stop = torch.minimum(tail, n_samples - sounding.start).clamp(min=0)
        last = torch.minimum((stop + HOP - 1) // HOP, self.last_block[sounding.row])
        first = torch.minimum((-sounding.start).clamp(min=0) // HOP, last)
        spans: dict[int, list[tuple[int, int, int]]] = {}
        for note, span in enumerate(zip(sounding.row.tolist(), first.tolist(), last.tolist(), strict=True)):
            if span[2] > span[1]:
                spans.setdefault(span[0], []).append((note, *span[1:]))
        sounds: list[NoteAudio] = []
        for row in spans:
            sizes = [end - begin for _, begin, end in spans[row]]
            blocks = torch.split(self.play_row(row, sounding, spans[row]), sizes)
            sounds += [(n, begin * HOP, b.reshape(-1)) for (n, begin, _), b in zip(spans[row], blocks, strict=True)]
        return sounds

    def play_row(self, row: int, sounding: SoundingNotes, spans: list[tuple[int, int, int]]) -> Tensor:
        """Render the notes of one row, each from its first to its last block: (block, HOP).

        Within a block each partial is a line between two envelope values times a rotation that all blocks share, so
        that one matrix product computes all blocks.
        """
        own = slice(self.first_partials[row], self.first_partials[row + 1])
        turn = 2.0 * math.pi / PIANO_SAMPLE_RATE * self.frequency[own]
        n_edges = max(span[2] for span in spans) + 1
        knots = torch.view_as_complex(self.envelope[own].float())
        if self.envelope_factor is not None:
            factor = torch.view_as_complex((self.factor_weights @ self.envelope_factor[own]).contiguous())
            knots = knots * (factor + 1.0)
        edges = torch.arange(n_edges, device=turn.device)
        line = (self.knot_weights[:n_edges].to(knots.dtype) @ knots.T) * phasor(edges[:, None] * HOP * turn)
        back = phasor(-HOP * turn)
        level, phase = self.gain_level[own], self.gain_phase[own]
        velocity = sounding.velocity.tolist()
        ends = []
        for note, first, last in spans:
            below, share = self.gain_below[velocity[note]], float(self.gain_share[velocity[note]])
            rotated = torch.lerp(phase[:, below], phase[:, below + 1], share)
            gain = db_to_amplitude(torch.lerp(level[:, below], level[:, below + 1], share)) * rotated
            damped = line[first : last + 1] * damping(sounding, note, edges[first : last + 1] * HOP)[:, None] * gain
            ends.append(torch.cat([damped[:-1], damped[1:] * back], dim=1))
        points = torch.cat(ends)
        sample = torch.arange(HOP, device=turn.device)
        rotation, rise = phasor(turn[:, None] * sample), sample / HOP
        basis = torch.cat([rotation * (1.0 - rise), rotation * rise])
        return torch.cat([points.real, -points.imag], dim=1) @ torch.cat([basis.real, basis.imag])

    def noise_level(self, sounding: SoundingNotes, n_examples: int, n_frames: int) -> Tensor:
        """Compute the noise magnitude of all notes together, (batch, frame, band)."""
        centre = torch.arange(n_frames, device=sounding.key.device) * HOP + MARGIN
        since = (centre[None] - sounding.start[:, None]) / HOP
        after = since.clamp(min=0).contiguous()
        upper = torch.searchsorted(self.knots, after, right=True).clamp(max=len(self.knots) - 1)
        share = ((after - self.knots[upper - 1]) / (self.knots[upper] - self.knots[upper - 1])).clamp(max=1.0)
        row = sounding.row[:, None]
        level = torch.lerp(self.noise[row, upper - 1].float(), self.noise[row, upper].float(), share[..., None])
        reaching = since.clamp(max=0) * 20.0  # dB; a frame before the onset, whose window only reaches into it
        late = (centre[None] - sounding.start[:, None] - sounding.held[:, None]).clamp(min=0) / PIANO_SAMPLE_RATE
        level = level + (reaching - late * sounding.release[:, None])[..., None]
        below, nearness = self.gain_below[sounding.velocity], self.gain_share[sounding.velocity]
        lower, upper_gain = (self.noise_gain[sounding.row, position].float() for position in (below, below + 1))
        level = level + torch.lerp(lower, upper_gain, nearness[:, None])[:, None]
        power = db_to_amplitude(level) ** 2
        total = power.new_zeros(n_examples, n_frames, N_BANDS).index_add(0, sounding.example, power)
        return torch.sqrt(total + 1e-12)


def phasor(angle: Tensor) -> Tensor:
    """Compute exp(i angle), complex64, of angles in radians, float64 (float32 is too coarse for late samples)."""
    return torch.polar(torch.ones_like(angle), torch.remainder(angle, 2.0 * math.pi)).to(torch.complex64)


def waveform(levels: Tensor, peak: Tensor) -> Tensor:
    """Convert 8-bit levels (..., sample) to a waveform whose level 127 is ``peak`` (...)."""
    share = levels.float() / 127.0
    return share.sign() * share.abs() ** POWER * peak[..., None]


def db_to_amplitude(level: Tensor) -> Tensor:
    """Convert dB to amplitude."""
    return torch.exp(level * (math.log(10.0) / 20.0))


def damping(sounding: SoundingNotes, note: Tensor | int, since: Tensor) -> Tensor:
    """Compute the damper's gain for notes, ``since`` samples after their onsets (the shapes broadcast)."""
    late = (since - sounding.held[note]).clamp(min=0) / PIANO_SAMPLE_RATE
    return db_to_amplitude(-sounding.release[note] * late)


def _check_table(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Reject weights that were trained with another table."""
    found = state.get(prefix + "table_digest")
    if found is not None and int(found) != int(module.table_digest):  # type: ignore[arg-type]
        raise ValueError(OTHER_TABLE)
