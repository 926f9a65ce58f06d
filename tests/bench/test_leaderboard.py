"""The leaderboard: counts and scores made by hand, paired differences, added systems, what stays of earlier runs."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from bench.transcription import leaderboard
from bench.transcription.leaderboard import Entry, check_names, measure, read_notes, write_clips
from bench.transcription.leaderboard_table import Count, count, markdown, read_counts, summarize, write_counts
from bench.transcription.recordings import Clip
from hf_model.audio.io import read_audio
from hf_model.corpora.records import CorpusError
from hf_model.notes.note import Note

TRUTH = [Note(0.0, 1.0, 60.0), Note(1.0, 2.0, 62.0), Note(12.0, 13.0, 64.0)]
FOUND = [Note(0.0, 1.0, 60.0), Note(1.02, 1.5, 62.0), Note(12.0, 13.0, 66.0), Note(20.0, 21.0, 66.0)]


def row(system: str, recording: str, right: int, found: int = 10) -> Count:
    return Count("ssvd", "clean", system, recording, 10, found, right, right, right)


def clip(name: str) -> Clip:
    return Clip("ssvd", name, np.full(800, 0.25, dtype=np.float32), 8000, TRUTH)


def test_notes_are_counted_by_rule_and_by_window() -> None:
    assert count("one", "clean", "ssvd", "song", TRUTH, FOUND, windows=False) == [
        Count("ssvd", "clean", "one", "song", 3, 4, 3, 2, 1)
    ]
    parts = count("one", "clean", "csd", "song", TRUTH, FOUND, windows=True)
    assert [(part.recording, *part[4:]) for part in parts] == [
        ("song@0", 2, 2, 2, 2, 1),
        ("song@10", 1, 1, 1, 0, 0),
        ("song@20", 0, 1, 0, 0, 0),
    ]


def test_others_are_behind_the_best_on_the_same_recordings() -> None:
    counts = [row("b", "x", 8), row("b", "y", 6), row("a", "x", 7), row("a", "y", 5)]
    best, other = summarize(counts)
    assert (best["system"], best["conpoff"], best["behind"], best["notes"]) == ("b", 0.7, 0.0, 20)
    assert (other["system"], other["conpoff"]) == ("a", 0.6)
    assert (other["behind"], other["behind_low"], other["behind_high"]) == (0.1, 0.1, 0.1)
    assert other["conpoff_low"] == 0.5
    assert other["conpoff_high"] == 0.7


def test_windows_of_a_single_recording_are_pooled() -> None:
    counts = [row("a", "x@0", 10), Count("ssvd", "clean", "a", "x@10", 2, 2, 0, 0, 0)]
    assert summarize(counts)[0]["conpoff"] == pytest.approx(20 / 24, abs=1e-4)


def test_counts_survive_their_file(tmp_path: Path) -> None:
    counts = [row("b, the second", "x", 8), row("a", "x", 7)]
    assert read_counts(tmp_path / "none.csv") == []
    write_counts(tmp_path / "counts.csv", counts)
    assert read_counts(tmp_path / "counts.csv") == sorted(counts)


def test_notes_of_an_added_system_may_not_be_missing(tmp_path: Path) -> None:
    folder = tmp_path / "ssvd" / "noise"
    folder.mkdir(parents=True)
    (folder / "one.csv").write_text("onset,offset,pitch\n1.0,2.0,62\n0.0,1.0,60\n")
    (folder / "none.csv").write_text("onset,offset,pitch\n")
    assert read_notes(tmp_path, clip("one"), "noise", clip("one").audio) == TRUTH[:2]
    assert read_notes(tmp_path, clip("none"), "noise", clip("none").audio) == []
    with pytest.raises(CorpusError, match=r"two\.csv is missing"):
        read_notes(tmp_path, clip("two"), "noise", clip("two").audio)


def test_only_what_is_missing_is_measured() -> None:
    calls: list[tuple[str, str]] = []

    def transcribe(recording: Clip, condition: str, audio: np.ndarray) -> list[Note]:
        calls.append((recording.name, condition))
        assert audio.shape == recording.audio.shape
        return TRUTH

    entries = [
        Entry("old", ("ssvd",), transcribe),
        Entry("new", ("ssvd",), transcribe),
        Entry("csd", ("csd",), transcribe),
    ]
    clips = [clip("x"), clip("y")]
    counts = measure(entries, clips, "quiet", [Count("ssvd", "quiet", "old", "x", 3, 3, 3, 3, 3)])
    assert calls == [("x", "quiet"), ("y", "quiet")]
    assert [(one.system, one.recording, one.conpoff) for one in counts] == [("new", "x", 3), ("new", "y", 3)]


def test_recordings_are_written_for_other_programs(tmp_path: Path) -> None:
    write_clips([clip("x")], ["clean", "quiet"], tmp_path)
    audio, sample_rate = read_audio(tmp_path / "ssvd/clean/x.wav")
    quiet, _ = read_audio(tmp_path / "ssvd/quiet/x.wav")
    assert sample_rate == 8000
    assert audio[0, 0] == pytest.approx(0.25, abs=1e-3)
    assert quiet[0, 0] == pytest.approx(0.0025, abs=1e-4)


def test_the_page_has_a_gap_where_a_system_was_not_measured() -> None:
    noisy = [one._replace(condition="noise") for one in (row("a", "x", 7), row("a", "y", 7))]
    page = markdown(
        summarize([row("a", "x", 8), row("a", "y", 8), row("b", "x", 7), row("b", "y", 7), *noisy]), "Text."
    )
    lines = page.splitlines()
    assert "| system | clean | noise |" in lines
    assert "| b | .700 [.700, .700] | - |" in lines
    assert "| a | .800 [.800, .800] | .700 [.700, .700] |" in lines


def test_options_of_an_added_system() -> None:
    parser = argparse.ArgumentParser()
    leaderboard.add_arguments(parser)
    options = parser.parse_args(["--mirror", "M", "--add", "mine", "notes", "--add", "yours", "other"])
    assert options.add == [["mine", "notes"], ["yours", "other"]]


@pytest.mark.parametrize("names", [["hummingface"], ["pyin"], ["a", "a"], [""], ["a | b"], ["a\nb"]])
def test_added_names_replace_no_other_row(names: list[str]) -> None:
    with pytest.raises(SystemExit, match="choose a name"):
        check_names(names, ["hummingface"])
    check_names(["mine", "mine 2"], ["hummingface"])
