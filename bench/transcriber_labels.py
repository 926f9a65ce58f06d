"""Recordings whose labels disagree with the audio, by kind of disagreement, with a second opinion on each.

The first opinion is `align`'s: an onset curve and a pitch tracker (:mod:`hf_model.alignment.label_correction`). The
second is
that of a transcriber that learned from made voices alone and so from nobody's labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from transcriber_figures import RESAMPLINGS, matches, rounded
from transcriber_grid import bias_by_pitch, label_grid
from transcriber_recordings import Recording

from hf_model.alignment import label_correction as labels
from hf_model.alignment.manifest import Correction
from hf_model.evaluation.metrics import bootstrap_mean, note_scores
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_hz

LATE_ONSET, LATE_OFFSET, VERY_LATE_OFFSET = 0.010, 0.012, 0.035
"""Seconds: lags from which labels count as late."""

VERY_SHARP = 7.0
"""Hz: from here on labels are sharper than the corpus' constant can explain."""

STUB = 0.05
"""Seconds: a sung note is not shorter."""

LOOSE = 0.2
"""Semitones: median distance of corrected labels from the voice's pitch."""


@dataclass(frozen=True)
class Kind:
    """One way in which labels disagree with the audio.

    Attributes
    ----------
    name : str
    applies : callable
        Whether a recording shows it.
    undone : callable
        Its correction without what was done about this kind; None where nothing is.
    decision : str
    """

    name: str
    applies: Callable[[Recording], bool]
    undone: Callable[[Correction], Correction] | None
    decision: str


KINDS = (
    Kind(
        f"onsets {1000 * LATE_ONSET:.0f} ms late or more",
        lambda one: one.correction.onset_lag >= LATE_ONSET,
        lambda found: replace(found, onset_lag=0.0),
        "Corrected, one constant a recording; bound notes stay bound. All of 1201-1230, man1 and man2 show it and "
        "hardly any other group: a way of marking, not of singing. For the 50 ms of the scores it hardly matters; for "
        "a piano that plays along it does.",
    ),
    Kind(
        f"offsets {1000 * LATE_OFFSET:.0f} to {1000 * VERY_LATE_OFFSET:.0f} ms late",
        lambda one: LATE_OFFSET <= one.correction.offset_lag < VERY_LATE_OFFSET,
        lambda found: replace(found, offset_lag=0.0),
        "Corrected, one constant a recording, measured on notes that a silence follows. Mostly the same recordings as "
        "above: the whole note is marked late.",
    ),
    Kind(
        f"offsets {1000 * VERY_LATE_OFFSET:.0f} ms late or more",
        lambda one: one.correction.offset_lag >= VERY_LATE_OFFSET,
        lambda found: replace(found, offset_lag=0.0),
        "Corrected: notes of 1220-1230, and of two single recordings, are held on after the voice has fallen silent.",
    ),
    Kind(
        "pitches some 4 Hz sharp",
        lambda one: one.correction.pitch_bias_hz < VERY_SHARP,
        lambda found: replace(found, pitch_bias_hz=0.0),
        "Corrected, one constant in Hz a recording. It is everywhere and the same in Hz at every pitch (table below): "
        "it comes from how pitches were read, not from singers. Labels lie on the bins of a spectrum (last kind), most "
        "of a bin too high.",
    ),
    Kind(
        f"pitches more than {VERY_SHARP:.0f} Hz sharp",
        lambda one: one.correction.pitch_bias_hz >= VERY_SHARP,
        lambda found: replace(found, pitch_bias_hz=0.0),
        "Corrected by their own bias: it is about one step of the wider grid on which their labels lie, so the "
        "corpus' one constant cannot mend it, and with that alone removed they still count as wrong.",
    ),
    Kind(
        "octaves",
        lambda one: one.correction.octave != 0 or one.octaves_mended > 0,
        None,
        "Single notes are moved to the octave that more than 80 % of their frames have, and no others.",
    ),
    Kind(
        f"notes marked shorter than {1000 * STUB:.0f} ms",
        lambda one: _stubs(one) > 0,
        None,
        "Left as they are in every figure: a constant cannot mend them. In 1197 a third of the notes are marked 30 ms "
        "long where the voice goes on for 400 ms and more; what is right there counts as a late offset.",
    ),
    Kind(
        f"pitches that fit loosely (median over {100 * LOOSE:.0f} cents away after correction)",
        lambda one: one.correction.residual > LOOSE,
        None,
        "Left as they are. Most lie on a wide grid for their pitch: rounding alone puts a note up to half a step off, "
        "which no constant takes back. Scores in pitch of low voices are bounded by that.",
    ),
    Kind(
        "pitches on a grid in Hz",
        lambda one: bool(label_grid(one.published)),
        None,
        "Left as they are: 5.38 Hz is 44,100 / 8,192, the bins of a spectrum. Rounding to it puts a note up to 13 "
        "cents off at 350 Hz, 38 at 123 Hz; the wider grids of man1, man2, 1252, 4193 and 4380 by 30 to 56.",
    ),
)


def label_report(recordings: Sequence[Recording], heard: Sequence[list[Note]] | None) -> dict[str, Any]:
    """List what is wrong with the labels of each recording, and judge each kind.

    Parameters
    ----------
    recordings : sequence of Recording
        Of one corpus.
    heard : sequence of list of Note, optional
        By the transcriber of made voices.
    """
    pairs = [near_pairs(one, found) for one, found in zip(recordings, heard, strict=True)] if heard else []
    opinions = [second_opinion(one, found) for one, found in zip(recordings, heard, strict=True)] if heard else None
    rows = [_row(one, opinions[index] if opinions else {}) for index, one in enumerate(recordings)]
    return {
        "recordings": rows,
        "agreement": _agreement(rows) if opinions else {},
        "by_pitch": bias_by_pitch(
            [
                pair
                for one, found in zip(recordings, pairs, strict=False)
                if one.correction.pitch_bias_hz < VERY_SHARP
                for pair in found
            ]
        ),
        "kinds": [_kind(kind, recordings, rows, heard) for kind in KINDS],
    }


def near_pairs(recording: Recording, heard: Sequence[Note]) -> list[tuple[Note, Note]]:
    """Pair labels as published with notes heard, by their corrected onsets: then no lag hides the latest of them.

    Notes whose corrected pitch is a semitone off or more are left out.
    """
    published = labels.apply(recording.published, Correction(), math.inf)
    moved = labels.apply(recording.published, recording.correction, math.inf)
    moved = moved if len(moved) == len(published) else published
    pairs = matches(moved, heard, "con")
    return [(published[i], heard[j]) for i, j in pairs if abs(moved[i].pitch - heard[j].pitch) < 1.0]


def second_opinion(recording: Recording, heard: Sequence[Note]) -> dict[str, float]:
    """Measure how late and how sharp labels as published are against the notes that a transcriber heard."""
    pairs = near_pairs(recording, heard)
    free = _before_silence(recording.published)
    values = {
        "onset_ms": [1000 * (one.onset - found.onset) for one, found in pairs],
        "offset_ms": [1000 * (one.offset - found.offset) for one, found in pairs if one in free],
        "pitch_hz": [float(pitch_to_hz(one.pitch) - pitch_to_hz(found.pitch)) for one, found in pairs],
    }
    return {name: round(float(np.median(found)), 1) for name, found in values.items() if found}


def _stubs(recording: Recording) -> int:
    return sum(note.duration < STUB for note in recording.published)


def _before_silence(notes: Sequence[Note]) -> set[Note]:
    """Choose the notes that a silence follows, as `align` does."""
    after = [*(note.onset for note in notes[1:]), math.inf]
    return {note for note, onset in zip(notes, after, strict=True) if onset - note.offset > 2 * labels.LEGATO}


def _row(one: Recording, opinion: dict[str, float]) -> dict[str, Any]:
    found, made = one.measurement, one.correction
    return {
        "recording": one.name,
        "singer": one.singer,
        "notes": len(one.published),
        "onset_ms": rounded({"measured": 1000 * found.onset_lag, "error": 1000 * found.onset_lag_error}, 1),
        "offset_ms": rounded({"measured": 1000 * found.offset_lag, "error": 1000 * found.offset_lag_error}, 1),
        "pitch_hz": rounded({"measured": found.pitch_bias_hz, "error": found.pitch_bias_error}, 2),
        "corrected": rounded(
            {"onset_ms": 1000 * made.onset_lag, "offset_ms": 1000 * made.offset_lag, "pitch_hz": made.pitch_bias_hz}, 1
        ),
        "octave": made.octave,
        "octaves_mended": one.octaves_mended,
        "stubs": _stubs(one),
        "grid": label_grid(one.published),
        "residual_cents": round(100 * made.residual, 1),
        "quality": round(one.quality, 3),
        "heard": opinion,
    }


def _agreement(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Hold the two opinions together: correlation over recordings, and the median of second minus first."""
    report = {}
    for name in ("onset_ms", "offset_ms", "pitch_hz"):
        both = [
            (row[name]["measured"], row["heard"][name])
            for row in rows
            if name in row["heard"] and math.isfinite(row[name]["error"])
        ]
        first, second = np.array(both).T
        report[name] = rounded(
            {"correlation": float(np.corrcoef(first, second)[0, 1]), "difference": float(np.median(second - first))}, 2
        )
    return report


def _kind(
    kind: Kind, recordings: Sequence[Recording], rows: Sequence[dict[str, Any]], heard: Sequence[list[Note]] | None
) -> dict[str, Any]:
    """Sum up a kind; where it was corrected, what that does to the second ear's COnPOff (paired, with an interval)."""
    chosen = [index for index, one in enumerate(recordings) if kind.applies(one)]
    medians = {
        name: {
            "align": round(float(np.median([rows[i]["corrected"][name] for i in chosen])), 1),
            "heard": round(float(np.median([rows[i]["heard"].get(name, math.nan) for i in chosen])), 1),
        }
        for name in ("onset_ms", "offset_ms", "pitch_hz")
        if chosen and heard
    }
    gain = {}
    if kind.undone and heard and chosen:
        pairs = [(recordings[i], heard[i]) for i in chosen]
        gains = [_score(one, one.correction, ear) - _score(one, kind.undone(one.correction), ear) for one, ear in pairs]
        gain = rounded(dict(zip(("mean", "low", "high"), bootstrap_mean(gains, RESAMPLINGS), strict=True)))
    return {
        "kind": kind.name,
        "recordings": [recordings[i].name for i in chosen],
        "medians": medians,
        "gain_conpoff": gain,
        "decision": kind.decision,
    }


def _score(recording: Recording, correction: Correction, heard: Sequence[Note]) -> float:
    """COnPOff against labels under a correction; octaves of single notes are left alone."""
    return note_scores(labels.apply(recording.published, correction, math.inf), heard)["conpoff"]
