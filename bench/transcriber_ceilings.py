"""What the labels of a corpus allow: scores of answers that know when every note was labelled to begin and to end.

No answer below is a transcriber's: the times are the labels' own. Against labels as published, the labels that `align`
corrected show what the constants of each recording cost. Pitches measured by a plain tracker
(:mod:`hf_model.audio.pitch_tracking`) show how far any measured pitch agrees with the labels, whose own lie on the
bins of a
spectrum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from rich.progress import track as bar
from transcriber_figures import figures
from transcriber_hearing import voice
from transcriber_recordings import CORRECTED, PUBLISHED, Recording, reference

from hf_model.alignment.label_correction import note_pitches
from hf_model.audio.pitch_tracking import track
from hf_model.notes.note import Note

CONSTANTS, MEASURED = "corrected labels themselves", "labelled times, measured pitches"


def ceilings(recordings: Sequence[Recording]) -> dict[str, dict[str, Any]]:
    """Score answers with perfect times: answer, convention of labels, figures."""
    measured = [with_measured_pitches(one) for one in bar(recordings, "measuring pitches")]
    corrected = [one.corrected for one in recordings]
    asked = ((CONSTANTS, corrected, PUBLISHED), (MEASURED, measured, PUBLISHED), (MEASURED, measured, CORRECTED))
    report: dict[str, dict[str, Any]] = {}
    for name, answers, convention in asked:
        truth = [reference(one, convention) for one in recordings]
        report.setdefault(name, {})[convention] = figures(list(zip(truth, answers, strict=True)))
    return report


def with_measured_pitches(recording: Recording) -> list[Note]:
    """Keep the times of the corrected labels; pitches are the tracker's, the label's where it has none."""
    notes = recording.corrected
    pitches = note_pitches(track(voice(recording)), notes)
    known = zip(notes, pitches.tolist(), strict=True)
    return [replace(note, pitch=pitch) if np.isfinite(pitch) else note for note, pitch in known]
