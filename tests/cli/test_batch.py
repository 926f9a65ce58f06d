"""Many files at a time: reports in order, names that collide, an interruption."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from hf_model.cli.batch import convert_jobs
from hf_model.cli.jobs import Job, Options, find_inputs, plan
from hf_model.inference import Models
from hf_model.notes.note import Note
from hf_model.notes.note_files import read_score
from tests.fakes import TonePiano, ToneTranscriber, tones


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")


class SlowTranscriber(ToneTranscriber):
    """Takes longest for the lowest tone, and counts the files that are transcribed at a time."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()

    def transcribe(self, waveform: NDArray[np.float32]) -> list[Note]:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        notes = super().transcribe(waveform)
        time.sleep(max(0.0, 0.05 * (64 - min(note.pitch for note in notes))))
        with self.lock:
            self.now -= 1
        return notes


def make_models(transcriber: ToneTranscriber) -> Models:
    return Models(transcriber=transcriber, renderers={"sampled": TonePiano()})


def jobs_of(folder: Path, keys: list[int], options: Options) -> list[Job]:
    folder.mkdir(exist_ok=True)
    for number, key in enumerate(keys):
        soundfile.write(folder / f"{number}.wav", tones([key], duration=0.4), 16000)
    return plan(find_inputs([str(folder)]), options)


def test_two_files_at_a_time_are_reported_in_order(tmp_path: Path) -> None:
    keys, transcriber = [60, 62, 64, 65, 67], SlowTranscriber()
    options = Options(out_dir=tmp_path / "out", source="voice")
    reports = list(convert_jobs(jobs_of(tmp_path / "in", keys, options), options, make_models(transcriber)))
    assert [Path(report.input).stem for report in reports] == ["0", "1", "2", "3", "4"]
    assert [read_score(Path(report.outputs["midi"])).notes[0].pitch for report in reports] == keys
    assert transcriber.most == 2


def test_a_file_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    options = Options(out_dir=tmp_path / "out", source="voice")
    jobs = jobs_of(tmp_path / "in", [60, 62, 64], options)
    (tmp_path / "in" / "1.wav").write_bytes(b"RIFF")
    first, second, third = convert_jobs(jobs, options, make_models(ToneTranscriber()))
    assert (first.error, third.error) == (None, None)
    assert second.error
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_the_second_of_two_equal_names_is_refused(tmp_path: Path) -> None:
    """Although the first takes longer, and both begin at once."""
    options = Options(out_dir=tmp_path / "out", source="voice")
    inputs = []
    for folder, key in (("one", 60), ("two", 67)):
        inputs += [str(job.source) for job in jobs_of(tmp_path / folder, [key], options)]
    first, second = convert_jobs(plan(find_inputs(inputs), options), options, make_models(SlowTranscriber()))
    assert first.error is None
    assert f"was just made of {inputs[0]}; rename one of the two" in str(second.error)
    assert read_score(tmp_path / "out" / "0_piano.mid").notes[0].pitch == 60


def test_the_second_is_converted_if_the_first_fails(tmp_path: Path) -> None:
    options = Options(out_dir=tmp_path / "out", source="voice")
    inputs = []
    for folder in ("one", "two"):
        inputs += [str(job.source) for job in jobs_of(tmp_path / folder, [60], options)]
    Path(inputs[0]).write_bytes(b"RIFF")
    first, second = convert_jobs(plan(find_inputs(inputs), options), options, make_models(ToneTranscriber()))
    assert first.error
    assert second.error is None


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_leaves_no_files(tmp_path: Path) -> None:
    """Ctrl-C while two files are converted: the first is interrupted, and the other ends with it.

    The interruption may come between the opening of a file and its `with`, which Python closes with a warning.
    """
    second = threading.Event()

    class Interrupted(ToneTranscriber):
        def transcribe(self, waveform: NDArray[np.float32]) -> list[Note]:
            if super().transcribe(waveform)[0].pitch < 61:
                second.wait(10)
                raise KeyboardInterrupt
            second.set()
            while True:
                time.sleep(0.01)

    options = Options(out_dir=tmp_path / "out", source="voice")
    jobs = jobs_of(tmp_path / "in", [60, 62, 64], options)
    with pytest.raises(KeyboardInterrupt):
        list(convert_jobs(jobs, options, make_models(Interrupted())))
    assert not (tmp_path / "out").exists()
