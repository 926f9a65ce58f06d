import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from hf_model.audio.grid import resampled_length
from hf_model.cli.batch import convert_jobs
from hf_model.cli.commands.render import RenderOptions, render_file
from hf_model.cli.jobs import Options, find_inputs, name_outputs, plan
from hf_model.cli.report import Report
from hf_model.music.arrangement import Arrangement
from hf_model.notes.midi import read_midi
from hf_model.notes.note_files import read_csv
from hf_model.piano.performance import Performance, Take, perform
from tests.fakes import curve_models, tone_models, tones

MELODY = [60, 64, 67]


def convert_all(inputs: list[Path], also: Sequence[str] = (), **options: object) -> list[Report]:
    """Convert to wav, MIDI and other kinds, unless ``kinds`` are given."""
    chosen = Options(**{"kinds": ("wav", "midi", *also)} | options)
    return list(convert_jobs(plan(find_inputs(map(str, inputs)), chosen), chosen, tone_models()))


@pytest.fixture
def hum(tmp_path: Path) -> Path:
    path = tmp_path / "takes" / "hum.wav"
    path.parent.mkdir()
    soundfile.write(path, tones(MELODY, 22050), 22050)
    return path


def test_wav_midi_csv_and_plot_are_consistent(hum: Path, tmp_path: Path) -> None:
    [report] = convert_all([hum], also=("csv", "plot"), out_dir=tmp_path / "out")
    assert report.error is None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"hum_piano.{ending}" for ending in ("csv", "mid", "png", "wav")
    ]
    assert report.outputs["wav"] == str(tmp_path / "out" / "hum_piano.wav")
    info = soundfile.info(report.outputs["wav"])
    assert (info.samplerate, info.frames) == (44100, 2 * soundfile.info(hum).frames)
    assert [note.pitch for note in read_midi(report.outputs["midi"])] == MELODY
    sung, keys = read_csv(report.outputs["csv"])
    assert [key.pitch for key in keys] == MELODY
    np.testing.assert_allclose([note.pitch for note in sung], MELODY, atol=0.05)
    assert (report.n_notes, report.duration) == (3, pytest.approx(1.3))


def test_writing_in_blocks_equals_writing_at_once(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.tile(tones([60, 62, 64, 65, 67]), 20), 16000)
    [report] = convert_all([tmp_path / "a.wav"])
    from hf_model.inference import convert

    whole = convert(soundfile.read(tmp_path / "a.wav")[0], 16000, models=tone_models())
    assert whole.audio.shape[1] == 42 * 44100
    np.testing.assert_allclose(soundfile.read(report.outputs["wav"])[0], whole.audio[0], atol=1e-4)


def test_a_clipping_piano_is_turned_down_with_a_warning(hum: Path) -> None:
    options = Options(performance=Performance(normalize=False))
    [report] = convert_jobs(plan(find_inputs([str(hum)]), options), options, tone_models(level=4.0))
    assert report.gain is not None
    assert report.gain < 1
    assert "turned down to" in report.warnings[0]
    assert np.abs(soundfile.read(report.outputs["wav"])[0]).max() == pytest.approx(0.999, abs=2e-3)


def test_a_gain_that_rounds_to_one_is_no_warning(hum: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def turned_down(*arguments: Any, **more: Any) -> Iterator[Take]:
        with perform(*arguments, **more) as take:
            yield replace(take, gain=0.99996)

    monkeypatch.setattr("hf_model.cli.jobs.perform", turned_down)
    [report] = convert_all([hum], performance=Performance(normalize=False))
    assert (report.gain, report.warnings) == (1.0, [])


def test_folders_are_searched_without_own_outputs(hum: Path) -> None:
    deeper = hum.parent / "monday" / "b.FLAC"
    deeper.parent.mkdir()
    soundfile.write(deeper, tones([60]), 16000, format="FLAC")
    for name in ("hum_piano.wav", ".hidden.wav", "notes.txt"):
        shutil.copy(hum, hum.parent / name)
    assert [job.source for job in find_inputs([str(hum.parent)])] == [hum, deeper]


def test_globs_are_expanded(hum: Path) -> None:
    shutil.copy(hum, hum.parent / "hum [take 2].wav")
    found = find_inputs([str(hum.parent / "*.wav"), str(hum.parent.parent / "**" / "hum.wav")])
    assert [job.source.name for job in found] == ["hum [take 2].wav", "hum.wav"]
    assert [job.source.name for job in find_inputs([str(hum.parent / "hum [take 2].wav")])] == ["hum [take 2].wav"]


def test_inputs_without_files_are_problems(tmp_path: Path) -> None:
    problems = [job.problem for job in find_inputs([str(tmp_path), str(tmp_path / "*.wav")])]
    assert problems == [f"{tmp_path}: no audio files in this folder", f"{tmp_path}/*.wav: no file matches"]


def test_duplicate_inputs_are_converted_once(hum: Path) -> None:
    assert len(find_inputs([str(hum), str(hum.parent), str(hum.parent / ".." / "takes" / "hum.wav")])) == 1


@pytest.mark.parametrize("overwrite", [False, True])
def test_inputs_of_the_same_name_do_not_overwrite_each_other(hum: Path, tmp_path: Path, overwrite: bool) -> None:
    other = tmp_path / "hum.flac"
    soundfile.write(other, tones([72]), 16000)
    reports = convert_all([hum, other], out_dir=tmp_path / "out", overwrite=overwrite)
    assert reports[0].error is None
    assert f"hum_piano.wav was just made of {hum}; rename one of the two" in str(reports[1].error)
    assert len(read_midi(tmp_path / "out" / "hum_piano.mid")) == 3


def test_a_failed_input_does_not_block_one_of_the_same_name(hum: Path, tmp_path: Path) -> None:
    broken = tmp_path / "hum.flac"
    broken.write_text("no sound")
    reports = convert_all([broken, hum], out_dir=tmp_path / "out")
    assert [report.error is None for report in reports] == [False, True]


def test_existing_outputs_are_kept_without_overwrite(hum: Path) -> None:
    old = hum.parent / "hum_piano.mid"
    old.write_text("precious")
    [report] = convert_all([hum])
    assert f"{old} exists; add --overwrite" in str(report.error)
    assert old.read_text() == "precious"
    assert not (hum.parent / "hum_piano.wav").exists()
    assert convert_all([hum], overwrite=True)[0].error is None
    assert len(read_midi(old)) == 3


def test_a_second_run_skips_the_outputs_of_the_first(hum: Path) -> None:
    convert_all([hum])
    reports = convert_all([hum, hum.parent / "hum_piano.wav"], overwrite=True)
    assert [report.error for report in reports] == [None, None]
    assert reports[1].warnings == ["skipped: it is the output of another input"]
    assert not (hum.parent / "hum_piano_piano.wav").exists()


def test_output_names_with_dots_and_without_suffix(tmp_path: Path) -> None:
    assert name_outputs(Path("a/take.1.wav"), Options())["wav"] == Path("a/take.1_piano.wav")
    assert name_outputs(Path("a/take"), Options(out_dir=tmp_path))["midi"] == tmp_path / "take_piano.mid"


@pytest.mark.parametrize(
    "fails_at", ["export.outputs.write_score", "export.outputs.write_wav_blocks", "cli.jobs.arrange_recording"]
)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_no_incomplete_files_are_left_after_an_error(
    hum: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: str, error: BaseException
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(f"hf_model.{fails_at}", fail)
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            convert_all([hum], out_dir=tmp_path / "out")
    elif fails_at != "cli.jobs.arrange_recording":
        [report] = convert_all([hum], out_dir=tmp_path / "out")
        assert report.error == f"{hum}: cannot write to {tmp_path / 'out'}: No space left on device"
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in hum.parent.iterdir()) == ["hum.wav"]


def test_a_failed_rename_removes_the_other_outputs(hum: Path) -> None:
    (hum.parent / "hum_piano.mid").mkdir()
    [report] = convert_all([hum], overwrite=True)
    assert "cannot write to" in str(report.error)
    assert sorted(path.name for path in hum.parent.iterdir()) == ["hum.wav", "hum_piano.mid"]


def test_out_of_memory_is_reported(hum: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("hf_model.cli.jobs.arrange_recording", fail)
    assert convert_all([hum])[0].error == f"{hum}: not enough memory"


def test_the_report_has_the_notes_and_the_estimates(hum: Path, tmp_path: Path) -> None:
    [report] = convert_all(
        [hum], also=("csv",), out_dir=tmp_path / "out", arrangement=Arrangement(quantize="1/8", tempo=120.0)
    )
    printed = json.loads(json.dumps(report.as_mapping()))
    assert [note["pitch"] for note in printed["notes"]] == MELODY
    assert printed["tempo"]["bpm"] == 120.0
    on_grid = np.interp(
        [note["onset"] for note in printed["notes"]], printed["tempo"]["beats"], range(len(printed["tempo"]["beats"]))
    )
    np.testing.assert_allclose(2 * on_grid, np.round(2 * on_grid), atol=0.02)
    assert printed["key"]["name"].split()[1] in {"major", "minor"}
    rounding = 1.5e-3  # each of the three is rounded to a millisecond
    assert printed["timings"]["listen"] + printed["timings"]["play"] <= printed["seconds"] + rounding
    assert printed["remarks"]
    _, keys = read_csv(report.outputs["csv"])
    np.testing.assert_allclose([key.onset for key in keys], [note["onset"] for note in printed["notes"]], atol=1e-3)
    played = read_midi(report.outputs["midi"])
    np.testing.assert_allclose([note.onset for note in played], [key.onset for key in keys], atol=1e-3)


def test_musicxml_and_structure_are_written(hum: Path, tmp_path: Path) -> None:
    arrangement = Arrangement(tempo=120.0)
    [report] = convert_all([hum], also=("musicxml", "structure"), out_dir=tmp_path, arrangement=arrangement)
    assert report.error is None
    assert Path(report.outputs["structure"]).name == "hum_piano.structure.png"
    assert Path(report.outputs["structure"]).read_bytes().startswith(b"\x89PNG")
    from music21 import converter

    score = converter.parse(report.outputs["musicxml"])
    assert [pitch.midi for pitch in score.stripTies().flatten().pitches] == MELODY


def test_a_score_without_music21_is_an_error(hum: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.export.musicxml.find_spec", lambda _: None)
    [report] = convert_all([hum], also=("musicxml",), out_dir=tmp_path / "out")
    assert report.error is not None
    assert report.error.endswith("pip install 'hummingface[score]'")
    assert not (tmp_path / "out").exists()


def test_without_audio_nothing_is_played(hum: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the piano is played")

    monkeypatch.setattr("hf_model.cli.jobs.perform", fail)
    [report] = convert_all([hum], kinds=("midi", "csv"), out_dir=tmp_path / "out")
    assert (report.error, report.gain) == (None, None)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["hum_piano.csv", "hum_piano.mid"]
    assert [note.pitch for note in read_midi(report.outputs["midi"])] == MELODY


@pytest.mark.parametrize("kind", ["midi", "csv", "bend"])
@pytest.mark.parametrize(("n_samples", "sample_rate"), [(20_801, 16000), (10_440, 8000), (31_337, 22050)])
def test_render_is_as_long_as_the_recording(tmp_path: Path, kind: str, n_samples: int, sample_rate: int) -> None:
    """10,440 samples at 8 kHz are 57,550.5 at 44.1 kHz: the number of samples must be stated, not the seconds."""
    audio = np.resize(np.concatenate([tones([62], sample_rate), np.zeros(sample_rate)]), n_samples)
    soundfile.write(tmp_path / "hum.wav", audio, sample_rate, subtype="FLOAT")
    options = Options(kinds=("wav", "midi", kind))
    [report] = convert_jobs(plan(find_inputs([str(tmp_path / "hum.wav")]), options), options, curve_models())
    assert report.error is None
    notes = Path(report.outputs[kind])
    rendered = render_file(notes, RenderOptions(tmp_path / "again.wav"), tone_models())
    lengths = {soundfile.info(path).frames for path in (report.outputs["wav"], rendered.outputs["wav"])}
    assert lengths == {resampled_length(n_samples, sample_rate, 44100)}


def test_silence_keeps_its_length_too(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(12345), 16000)
    [report] = convert_all([tmp_path / "a.wav"], also=("csv",))
    for kind in ("midi", "csv"):
        rendered = render_file(Path(report.outputs[kind]), RenderOptions(tmp_path / f"{kind}.wav"), tone_models())
        assert soundfile.info(rendered.outputs["wav"]).frames == resampled_length(12345, 16000, 44100)
