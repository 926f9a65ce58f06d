"""Headers that are wrong about the length, cut files, and several recordings in one file: nothing is lost silently."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hf_model.audio.decoders.containers import find_sounds, open_sound
from hf_model.audio.reader import AudioError, AudioReader
from tests.fakes import write_with_ffmpeg

RATE = 8000
SOUND = (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)
UNFINISHED = "the length in the header was never written; the sound was read to the end of the file"


def encode(kind: str, subtype: str | None = "PCM_16", rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, SOUND, rate, format=kind, subtype=subtype)
    return file.getvalue()


def read(folder: Path, name: str, content: bytes) -> tuple[float, list[str]]:
    (folder / name).write_bytes(content)
    reader = AudioReader(folder / name)
    n_samples = sum(block.shape[1] for block in reader)
    return n_samples / reader.sample_rate, reader.warnings


def patch(content: bytes, *changes: tuple[int, bytes]) -> bytes:
    changed = bytearray(content)
    for position, data in changes:
        changed[position : position + len(data)] = data
    return bytes(changed)


def unfinished_wav(size: int) -> bytes:
    wav = encode("WAV")
    length = struct.pack("<I", size)
    return patch(wav, (4, length), (wav.index(b"data") + 4, length))


def patched_at(kind: str, name: bytes, offset: int, data: bytes) -> bytes:
    content = encode(kind)
    return patch(content, (content.index(name) + offset, data))


UNFINISHED_FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "wav of size 0": ("a.wav", lambda: unfinished_wav(0)),
    "wav of unknown size": ("a.wav", lambda: unfinished_wav(0xFFFFFFFF)),
    "wav of 2 GB": ("a.wav", lambda: unfinished_wav(0x7FFFFFFF)),
    "wav that grew": ("a.wav", lambda: unfinished_wav(1000)),
    "wav under another name": ("a.mp3", lambda: unfinished_wav(0)),
    "rf64": ("a.rf64", lambda: patched_at("RF64", b"ds64", 8, bytes(24))),
    "w64": ("a.w64", lambda: patched_at("W64", b"data", 16, bytes(8))),
    "aiff of size 0": ("a.aiff", lambda: patched_at("AIFF", b"SSND", 4, bytes(4))),
    "aiff of unknown size": ("a.aiff", lambda: patched_at("AIFF", b"SSND", 4, b"\xff" * 4)),
    "au": ("a.au", lambda: patched_at("AU", b".snd", 8, bytes(4))),
    "caf": ("a.caf", lambda: patched_at("CAF", b"data", 4, bytes(8))),
}


@pytest.mark.parametrize("name", UNFINISHED_FILES)
def test_a_header_that_was_never_finished_is_repaired(tmp_path: Path, name: str) -> None:
    file_name, make = UNFINISHED_FILES[name]
    seconds, warnings = read(tmp_path, file_name, make())
    assert seconds == pytest.approx(2, abs=0.01)
    assert warnings == [UNFINISHED]


@pytest.mark.parametrize("unknown", [("a.au", "AU", b".snd", 8, 4), ("a.caf", "CAF", b"data", 4, 8)])
def test_formats_that_allow_an_unknown_length(tmp_path: Path, unknown: tuple[str, str, bytes, int, int]) -> None:
    name, kind, chunk, offset, n_bytes = unknown
    assert read(tmp_path, name, patched_at(kind, chunk, offset, b"\xff" * n_bytes)) == (2, [])


WHOLE = {"wav": "WAV", "rf64": "RF64", "w64": "W64", "aiff": "AIFF", "au": "AU", "caf": "CAF"}


@pytest.mark.parametrize("suffix", WHOLE)
def test_whole_files_give_no_warning(tmp_path: Path, suffix: str) -> None:
    assert read(tmp_path, f"a.{suffix}", encode(WHOLE[suffix])) == (2, [])


@pytest.mark.parametrize("tail", [b"LIST\4\0\0\0INFO", b"TAG" + b"x" * 125, bytes(9000), b"JUNKJUNK" * 900])
def test_what_follows_the_sound_is_not_sound(tmp_path: Path, tail: bytes) -> None:
    assert read(tmp_path, "a.wav", encode("WAV") + tail) == (2, [])


@pytest.mark.parametrize("suffix", WHOLE)
def test_a_cut_file_says_how_much_is_missing(tmp_path: Path, suffix: str) -> None:
    content = encode(WHOLE[suffix])
    seconds, [warning] = read(tmp_path, f"a.{suffix}", content[: len(content) // 2])
    assert seconds == pytest.approx(1, abs=0.15)
    assert warning == f"the file is cut off: {seconds:.2f} s of 2.00 s are in it"


def test_a_cut_ogg_file_says_so(tmp_path: Path) -> None:
    file = io.BytesIO()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 20 * 44100)
    soundfile.write(file, noise, 44100, format="OGG", subtype="VORBIS")
    content = file.getvalue()
    seconds, [warning] = read(tmp_path, "a.ogg", content[: len(content) // 2])
    assert 8 < seconds < 10.5
    assert warning == f"the file is cut off after {seconds:.2f} s"


def test_a_header_without_sound_holds_no_samples(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="the file holds no samples"):
        read(tmp_path, "a.wav", encode("WAV")[:44])


JOINED = {
    "wav": ("WAV", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}


@pytest.mark.parametrize("suffix", JOINED)
def test_joined_recordings_are_read_to_the_end(tmp_path: Path, suffix: str) -> None:
    kind, subtype = JOINED[suffix]
    seconds, warnings = read(tmp_path, f"a.{suffix}", 3 * encode(kind, subtype))
    assert (seconds, warnings) == (pytest.approx(6, abs=0.001), [])


@pytest.mark.parametrize("suffix", ["m4a", "mov"])
def test_joined_mp4_files_are_read_to_the_end(tmp_path: Path, suffix: str) -> None:
    write_with_ffmpeg(tmp_path / f"one.{suffix}", np.tile(SOUND, 2), 48000, "aac")
    one = read(tmp_path, f"a.{suffix}", (tmp_path / f"one.{suffix}").read_bytes())[0]
    two = read(tmp_path, f"b.{suffix}", 2 * (tmp_path / f"one.{suffix}").read_bytes())
    assert two == (pytest.approx(2 * one, abs=0.001), [])


def test_a_second_recording_at_another_rate_is_left_out(tmp_path: Path) -> None:
    seconds, warnings = read(tmp_path, "a.flac", encode("FLAC") + encode("FLAC", rate=16000))
    assert seconds == 2
    assert warnings == [
        "recording 2 in the file has another sample rate or number of channels and is left out (1.00 s)"
    ]


def test_a_part_of_a_file_is_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(encode("WAV") + encode("WAV"))
    first, second = find_sounds(tmp_path / "a.wav")
    with open_sound(tmp_path / "a.wav", second) as file:
        assert file.read() == encode("WAV")
        assert file.seek(-4, io.SEEK_END) == first.stop - 4
        assert len(file.read()) == 4
