import os
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from hf_model.audio.io import read_audio
from hf_model.audio.reader import BLOCK_SAMPLES, AudioError, AudioReader, check_format
from tests.fakes import strongest_hz, tones, write_with_ffmpeg

A4 = tones([69], 44100, duration=0.8)


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "w64", "caf"])
def test_lossless_files_round_trip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, A4, 44100, subtype="PCM_24")
    audio, sample_rate = read_audio(path)
    assert (audio.shape, sample_rate, audio.dtype) == ((1, A4.shape[0]), 44100, np.float32)
    np.testing.assert_allclose(audio[0], A4, atol=1e-6)


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_lossy_files_keep_length_and_pitch(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.stack([A4, A4], axis=1), 44100)
    audio, sample_rate = read_audio(path)
    assert (audio.shape, sample_rate) == ((2, A4.shape[0]), 44100)
    assert strongest_hz(audio[1], 44100) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.webm", "libopus"), ("a.opus", "libopus")])
def test_formats_of_phones_and_browsers(tmp_path: Path, name: str, codec: str) -> None:
    tone = tones([69], 48000, duration=0.8)
    write_with_ffmpeg(tmp_path / name, tone, 48000, codec)
    audio, sample_rate = read_audio(tmp_path / name)
    assert sample_rate == 48000
    assert abs(audio.shape[1] - tone.shape[0]) <= (0 if codec == "aac" else 1000)  # Opus has frames of 20 ms
    assert strongest_hz(audio[0], 48000) == pytest.approx(440, abs=2)


def test_mp3_with_suffix_wav_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", A4, 44100)
    (tmp_path / "a.mp3").rename(tmp_path / "a.wav")
    assert read_audio(tmp_path / "a.wav")[0].shape == (1, A4.shape[0])


def test_8_bit_and_float_files_have_full_scale_1(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes([128, 192, 64, 0]))
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav")[0], [[0, 0.5, -0.5, -1]])
    soundfile.write(tmp_path / "b.wav", np.array([0.25, 1.5, -2]), 8000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "b.wav")[0], [[0.25, 1.5, -2]])


def test_long_files_are_read_in_blocks(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2 * BLOCK_SAMPLES + 5, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", noise, 22050, subtype="FLOAT")
    reader = AudioReader(tmp_path / "a.wav")
    blocks = list(reader)
    assert [block.shape for block in blocks] == [(2, BLOCK_SAMPLES), (2, BLOCK_SAMPLES), (2, 5)]
    assert (reader.sample_rate, reader.n_channels) == (22050, 2)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1).T, noise)


def test_codec_frames_are_joined_to_large_blocks(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", np.tile(A4, 8), 44100)
    assert [block.shape[1] >= BLOCK_SAMPLES for block in AudioReader(tmp_path / "a.mp3")] == [True, False]


@pytest.mark.parametrize("rate", [0, 3999, 768001, 44100.5])
def test_sample_rates_out_of_range_are_refused(rate: float) -> None:
    with pytest.raises(AudioError, match=rf"sample_rate is {rate}.*4000 to 768000 Hz"):
        check_format(rate, 1)


def test_too_many_channels_are_refused() -> None:
    with pytest.raises(AudioError, match="65 channels, allowed is 1 to 64"):
        check_format(44100, 65)


def test_length_estimated_by_ffmpeg_is_ignored(tmp_path: Path) -> None:
    quiet_then_loud = np.zeros(44100 * 8, dtype=np.float32)
    quiet_then_loud[-44100:] = 0.3 * np.random.default_rng(0).standard_normal(44100)
    write_with_ffmpeg(tmp_path / "a.aac", quiet_then_loud, 44100, "aac")
    assert read_audio(tmp_path / "a.aac")[0].shape[1] == pytest.approx(8 * 44100, abs=3000)


def test_one_invalid_packet_in_a_hundred_is_skipped(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", np.tile(A4, 20), 44100)
    whole = read_audio(tmp_path / "a.mp3")[0]
    content = bytearray((tmp_path / "a.mp3").read_bytes())
    start = content.index(content[:2], len(content) // 2)  # the sync bytes of a frame
    content[start : start + 60] = b"\xff" * 60
    (tmp_path / "a.mp3").write_bytes(content)
    assert read_audio(tmp_path / "a.mp3")[0].shape[1] == pytest.approx(whole.shape[1], abs=5000)


def test_change_of_sample_rate_within_a_file_is_refused(tmp_path: Path) -> None:
    write_with_ffmpeg(tmp_path / "a.aac", np.tile(A4, 4), 44100, "aac")
    write_with_ffmpeg(tmp_path / "b.aac", np.tile(A4, 4), 22050, "aac")
    (tmp_path / "c.aac").write_bytes((tmp_path / "a.aac").read_bytes() + (tmp_path / "b.aac").read_bytes())
    with pytest.raises(AudioError, match=r"c.aac: the audio is damaged \(sample rate or channels change on the way\)"):
        read_audio(tmp_path / "c.aac")


def test_twelve_channels_through_ffmpeg(tmp_path: Path) -> None:
    tone = tones([69], 48000)
    write_with_ffmpeg(tmp_path / "a.wav", np.tile(tone, (12, 1)), 48000, "pcm_s16le")
    (tmp_path / "a.wav").rename(tmp_path / "a.mp3")  # read with FFmpeg
    audio, _ = read_audio(tmp_path / "a.mp3")
    assert audio.shape == (12, tone.shape[0])
    np.testing.assert_allclose(audio, np.tile(tone, (12, 1)), atol=1e-4)


def clicks(n_seconds: int) -> np.ndarray:
    """Make a tone of 20 ms at the start of each second, at 48 kHz."""
    click = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(960) / 48000)
    return np.tile(np.concatenate([click, np.zeros(47040)]), n_seconds).astype(np.float32)


def click_times(audio: np.ndarray) -> list[float]:
    """Find the clicks in audio (sample,) at 48 kHz, in seconds."""
    loud = np.flatnonzero(np.abs(audio) > 0.2) / 48000
    return [float(time) for time in loud[np.diff(loud, prepend=-1) > 0.3]]


def write_with_gaps(
    path: Path, audio: np.ndarray, codec: str, gaps: Sequence[tuple[float, float]], video: str | None = None
) -> None:
    """Encode audio (sample,) at 48 kHz; from each time on, its time stamps are later by the seconds of the gap."""
    with av.open(str(path), "w") as container:
        packets = []
        if video:
            pictures = container.add_stream(video, rate=10, width=64, height=64, pix_fmt="yuv420p")
            for number in range(round(audio.shape[0] / 4800 + 10 * sum(gap for _, gap in gaps))):
                picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), dtype=np.uint8), format="rgb24")
                picture.pts, picture.time_base = number, Fraction(1, 10)
                packets += pictures.encode(picture)
            packets += pictures.encode(None)
        stream = container.add_stream(codec, rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(audio[np.newaxis], format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=48000, frame_size=size)
        encoded = [
            packet for part in resampler.resample(frame) + resampler.resample(None) for packet in stream.encode(part)
        ]
        for packet in encoded + stream.encode(None):
            late = sum(gap for time, gap in gaps if packet.pts * packet.time_base >= time)
            packet.pts = packet.dts = packet.pts + round(late / packet.time_base)
            packets.append(packet)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)


FORMATS = {
    "webm": ("a.webm", "libopus", None),
    "m4a": ("a.m4a", "aac", None),
    "mkv": ("a.mkv", "aac", None),
    "mp4 with video": ("a.mp4", "aac", "mpeg4"),
    "webm with video": ("a.webm", "libopus", "libvpx"),
    "mkv with video": ("a.mkv", "aac", "mpeg4"),
    "mpegts with video": ("a.ts", "aac", "mpeg4"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_gaps_and_a_late_start_become_silence(tmp_path: Path, name: str) -> None:
    file_name, codec, video = FORMATS[name]
    path = tmp_path / file_name
    write_with_gaps(path, clicks(6), codec, [(-1, 0.5), (1.5, 0.25), (3.5, 1.25)], video)
    reader = AudioReader(path)
    [audio] = np.concatenate(list(reader), axis=1)
    assert click_times(audio) == pytest.approx([0.5, 1.5, 2.75, 3.75, 6, 7], abs=0.01)
    assert audio.shape[0] / 48000 == pytest.approx(8, abs=0.05)
    assert reader.warnings == ["2 s of audio are missing in the file and were replaced by silence"]


@pytest.mark.parametrize("name", FORMATS)
def test_files_without_gaps_get_no_silence(tmp_path: Path, name: str) -> None:
    file_name, codec, video = FORMATS[name]
    write_with_gaps(tmp_path / file_name, clicks(4), codec, [(1.5, 0.03)], video)
    reader = AudioReader(tmp_path / file_name)
    [audio] = np.concatenate(list(reader), axis=1)
    assert click_times(audio) == pytest.approx([0, 1, 2, 3], abs=0.025)  # MPEG-TS keeps the delay of the encoder
    assert reader.warnings == []


@pytest.mark.parametrize("name", ["webm", "m4a"])
def test_a_time_stamp_an_hour_too_late_is_refused(tmp_path: Path, name: str) -> None:
    file_name, codec, _ = FORMATS[name]
    write_with_gaps(tmp_path / file_name, clicks(4), codec, [(1.5, 3600)])
    with pytest.raises(AudioError, match=r"the time stamps are wrong, or 3600 s of audio are missing"):
        read_audio(tmp_path / file_name)


def test_an_invalid_packet_becomes_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.mka"
    write_with_gaps(path, clicks(12), "flac", [])
    with av.open(str(path)) as container:
        packet = next(packet for packet in container.demux() if packet.pts and packet.pts * packet.time_base > 3.5)
        data, seconds = bytes(packet), float(packet.duration * packet.time_base)
    path.write_bytes(path.read_bytes().replace(data, bytes(len(data)), 1))
    reader = AudioReader(path)
    [audio] = np.concatenate(list(reader), axis=1)
    assert click_times(audio) == pytest.approx(range(12), abs=0.002)
    assert reader.warnings == [f"{seconds:g} s of audio are missing in the file and were replaced by silence"]


@pytest.fixture(scope="module")
def mp3(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("mp3") / "a.mp3"
    write_with_gaps(path, clicks(60), "libmp3lame", [])
    return path.read_bytes()


@pytest.mark.parametrize("n_bytes", [300, 900, 20000])
@pytest.mark.parametrize("is_random", [False, True])
def test_lost_mp3_frames_become_silence(tmp_path: Path, mp3: bytes, n_bytes: int, is_random: bool) -> None:
    damaged = bytearray(mp3)
    generator = np.random.default_rng(0)
    for part in (0.2, 0.4, 0.6):
        start = int(len(mp3) * part)
        damaged[start : start + n_bytes] = generator.bytes(n_bytes) if is_random else bytes(n_bytes)
    (tmp_path / "a.mp3").write_bytes(damaged)
    reader = AudioReader(tmp_path / "a.mp3")
    [audio] = np.concatenate(list(reader), axis=1)
    assert click_times(audio)[-5:] == pytest.approx([55, 56, 57, 58, 59], abs=0.06)
    assert audio.shape[0] / 48000 == pytest.approx(60, abs=0.06)
    [warning] = reader.warnings
    assert warning.endswith("s of audio are missing in the file and were replaced by silence")


TAGS = {
    "id3": b"ID3\x03\0\0\0\0\x03\x68" + b"x" * 488,
    "id3v1": b"TAG" + b"x" * 125,
    "ape": b"APETAGEX" + (2000).to_bytes(4, "little") + (468).to_bytes(4, "little") + bytes(16) + b"x" * 468,
}


@pytest.mark.parametrize("place", ["between", "at the end"])
@pytest.mark.parametrize("name", TAGS)
def test_tags_in_mp3_files_are_not_missing_audio(tmp_path: Path, mp3: bytes, name: str, place: str) -> None:
    (tmp_path / "a.mp3").write_bytes(mp3 + TAGS[name] + (mp3 if place == "between" else b""))
    reader = AudioReader(tmp_path / "a.mp3")
    n_samples = sum(block.shape[1] for block in reader)
    assert n_samples / 48000 == pytest.approx(120 if place == "between" else 60, abs=0.05)
    assert reader.warnings == []


@pytest.mark.parametrize("suffix", ["wav", "flac", "m4a", "mp3", "webm"])
def test_names_that_are_not_utf8_are_read(tmp_path: Path, suffix: str) -> None:
    codec = {"wav": "pcm_s16le", "flac": "flac", "m4a": "aac", "mp3": "libmp3lame", "webm": "libopus"}[suffix]
    write_with_ffmpeg(tmp_path / f"a.{suffix}", tones([69], 48000, duration=0.8), 48000, codec)
    path = (tmp_path / f"a.{suffix}").rename(tmp_path / os.fsdecode(b"bad\xff." + suffix.encode()))
    audio, sample_rate = read_audio(path)
    assert strongest_hz(audio[0], sample_rate) == pytest.approx(440, abs=2)


def test_a_colon_in_a_name_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_with_ffmpeg(tmp_path / "a.m4a", A4, 44100, "aac")
    (tmp_path / "a.m4a").rename(tmp_path / "1:30.m4a")
    monkeypatch.chdir(tmp_path)
    assert read_audio("1:30.m4a")[1] == 44100


@pytest.mark.parametrize(
    ("suffix", "codec"), [("m4a", "aac"), ("mp3", "libmp3lame"), ("webm", "libopus"), ("mkv", "aac")]
)
def test_tags_that_are_not_utf8_are_no_error(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"a.{suffix}"
    tone = tones([69], 48000, duration=0.8)
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "TITLE1234"
        stream = container.add_stream(codec, rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone[np.newaxis], format="flt", layout="mono")
        frame.sample_rate, frame.pts = 48000, 0
        size = stream.codec_context.frame_size
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=48000, frame_size=size)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(part))
    content = path.read_bytes()
    assert b"TITLE1234" in content
    path.write_bytes(content.replace(b"TITLE1234", b"\xff\xfe\xfdLE1234"))
    audio, sample_rate = read_audio(path)
    assert strongest_hz(audio[0], sample_rate) == pytest.approx(440, abs=2)
