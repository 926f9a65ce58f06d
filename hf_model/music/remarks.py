"""Messages about the estimates of an arrangement, as a musician would say them."""

from __future__ import annotations

from collections.abc import Sequence

from hf_model.music.key import Key
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note

UNSURE, LIKELY = 0.5, 0.9
"""Confidence below which a tempo or key is only a guess, and below which it is only likely."""

FREE = "free rhythm: no steady beat was found, and beats are plain seconds (set the tempo if there is one)"
"""Message instead of a tempo."""

SLOW_TEMPO, FAST_TEMPO = 70.0, 140.0
"""Beats per minute; for a slower estimate twice the tempo is named too, for a faster one half of it."""


def describe(tempo: Tempo, key: Key, played_key: Key, tuning: float, n_repetitions: int) -> list[str]:
    """Describe the estimates: "62 bpm (or 124) (likely), 4/4 (or 2/4, 3/4) (a guess)", "key: F major (likely)"."""
    other = ""
    if tempo.confidence < 1 and not SLOW_TEMPO <= tempo.bpm <= FAST_TEMPO:
        other = f" (or {tempo.bpm * (2 if tempo.bpm < SLOW_TEMPO else 0.5):.0f})"
    transposed = "" if played_key.name == key.name else f", played in {played_key.name}"
    others = ", ".join(tempo.other_meters) if tempo.meter_confidence < LIKELY else ""
    meter = f"{tempo.meter_name}{f' (or {others})' if others else ''}{certainty(tempo.meter_confidence)}"
    found = [
        FREE if tempo.is_free else f"{tempo.bpm:.0f} bpm{other}{certainty(tempo.confidence)}, {meter}",
        f"key: {key.name}{certainty(key.confidence)}{transposed}",
    ]
    if abs(tuning) >= 0.1:
        found.append(f"tuning: {abs(100 * tuning):.0f} cents {'sharp' if tuning > 0 else 'flat'}, corrected")
    if n_repetitions:
        found.append(f"{n_repetitions} repeated {'phrase' if n_repetitions == 1 else 'phrases'}")
    return found


def certainty(confidence: float) -> str:
    """Say how sure an estimate is; nothing if it is."""
    if confidence >= 1:
        return " (given)"
    return "" if confidence >= LIKELY else " (likely)" if confidence >= UNSURE else " (a guess)"


def describe_snapping(before: Sequence[Note], after: Sequence[Note], key: Key) -> str:
    """Say how many notes were moved into the key."""
    n_moved = sum(old.pitch != new.pitch for old, new in zip(before, after, strict=True))
    n_left = sum(int(note.pitch) % 12 not in key.scale for note in after)
    return f"{n_moved} notes were moved into {key.name}; {n_left} clearly sung outside it were kept"


def describe_meant(nearest: Sequence[Note], meant: Sequence[Note]) -> list[str]:
    """Say how many notes are not the nearest to their sung pitch."""
    n_other = sum(old.pitch != new.pitch for old, new in zip(nearest, meant, strict=True))
    notes = "1 note was" if n_other == 1 else f"{n_other} notes were"
    return [f"{notes} sung out of tune and moved to the piano key that was meant"] if n_other else []
