"""Test doubles for recordings, the transcriber and the piano, and helpers to make and inspect files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pretty_midi
from numpy.typing import NDArray

from hf_model.inference import Models
from hf_model.notes.note import Note


def press_pedal(path: Path, spans: Sequence[tuple[float, float]]) -> None:
    """Add sustain pedal events to a MIDI file, down and up at these times in seconds."""
    midi = pretty_midi.PrettyMIDI(str(path))
    for down, up in spans:
        midi.instruments[0].control_changes += [
            pretty_midi.ControlChange(64, 127, down),
            pretty_midi.ControlChange(64, 0, up),
        ]
    midi.write(str(path))


class ToneTranscriber:
    """A transcriber of pure tones at 16 kHz, without weights."""

    def transcribe(self, waveform: NDArray[np.float32]) -> list[Note]:
        """Find segments above a level threshold, and the strongest frequency of each."""
        n_frames = waveform.shape[0] // 160
        power = np.square(waveform[: n_frames * 160].reshape(n_frames, 160)).mean(axis=1)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], power > 1e-4, [0]])))
        notes = []
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            sound = waveform[first * 160 : last * 160]
            strongest = np.argmax(np.abs(np.fft.rfft(sound * np.hanning(sound.shape[0]), 1 << 17)))
            pitch = 69 + 12 * np.log2(max(strongest * 16000 / (1 << 17), 20.0) / 440)
            notes.append(Note(first / 100, last / 100, float(pitch), confidence=0.9))
        return notes


class CurveTranscriber(ToneTranscriber):
    """A transcriber of pure tones with posteriors: a pitch axis of 0.2 semitones from 36 on."""

    config = SimpleNamespace(lowest_pitch=36.0, pitch_step=0.2)

    def posterior_chunks(self, waveform: NDArray[np.float32]) -> Iterator[list[NDArray[np.float32]]]:
        """Yield the posteriors of 100 frames at a time: all mass between the two bins nearest to the pitch."""
        padded = np.pad(waveform, 400)
        n_frames = 1 + waveform.shape[0] // 160
        for first in range(0, n_frames, 100):
            n_here = min(100, n_frames - first)
            voicing, pitch = np.zeros(n_here, np.float32), np.zeros((n_here, 300), np.float32)
            for frame in range(n_here):
                sound = padded[160 * (first + frame) : 160 * (first + frame) + 800] * np.hanning(800)
                spectrum = np.fft.rfft(sound, 1 << 14)
                hz = np.argmax(np.abs(spectrum)) * 16000 / (1 << 14)
                voicing[frame] = float(np.square(sound).mean() > 1e-3)
                place = (69 + 12 * np.log2(max(hz, 80.0) / 440) - 36.0) / 0.2
                low = min(298, int(place))
                pitch[frame, low : low + 2] = 1 - (place - low), place - low
            yield [np.zeros(n_here, np.float32), np.zeros(n_here, np.float32), voicing, pitch]


class TonePiano:
    """A piano of decaying sines that last a second: linear, without fades."""

    def __init__(self, level: float = 0.3) -> None:
        self.level = level

    def render(self, notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
        """Render notes as audio (1, sample) at 44.1 kHz."""
        audio = np.zeros((1, n_samples), dtype=np.float32)
        for note in notes:
            start = round(note.onset * 44100)
            stop = min(n_samples, round((note.offset + 1) * 44100))
            seconds = np.arange(max(0, stop - start)) / 44100
            tone = np.exp(-5 * seconds) * np.sin(2 * np.pi * 440 * 2 ** ((note.pitch - 69) / 12) * seconds)
            audio[0, start:stop] += (self.level * note.velocity / 127 * tone).astype(np.float32)
        return audio


class LeftSeparator:
    """A separator of songs whose voice is the left channel; what plays beside it is on the right."""

    def separate(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Yield the left channel of blocks (2, sample) as the left of the voice, some samples later."""
        waiting = np.zeros((2, 0), dtype=np.float32)
        for block in blocks:
            joined = np.concatenate([waiting, np.stack([block[0], 0 * block[0]])], axis=1)
            n_ready = max(0, joined.shape[1] - 1000)
            yield joined[:, :n_ready]
            waiting = joined[:, n_ready:]
        yield waiting


def tone_models(level: float = 0.3) -> Models:
    """Make models without weights: a tone transcriber, sine pianos, and a separator of the channels."""
    pianos = {"sampled": TonePiano(level), "neural": TonePiano(level)}
    return Models(transcriber=ToneTranscriber(), renderers=pianos, separator=LeftSeparator())


def curve_models() -> Models:
    """Make the models of :func:`tone_models`, with posteriors for pitch curves."""
    return Models(transcriber=CurveTranscriber(), renderers={"sampled": TonePiano()}, separator=LeftSeparator())


def tones(pitches: Sequence[float], sample_rate: int = 16000, duration: float = 0.3) -> NDArray[np.float32]:
    """Make a melody of pure tones (sample,), with rests of 0.1 s before, between and after them."""
    seconds = np.arange(round(duration * sample_rate)) / sample_rate
    fade = np.minimum(1, np.minimum(seconds, seconds[::-1]) / 0.01)
    rest = np.zeros(round(0.1 * sample_rate))
    parts = [rest]
    for pitch in pitches:
        parts += [0.4 * fade * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * seconds), rest]
    return np.concatenate(parts).astype(np.float32)


def strongest_hz(audio: NDArray[np.float32], sample_rate: int) -> float:
    """Frequency of the highest peak of the spectrum of audio (sample,), in Hz."""
    return float(np.argmax(np.abs(np.fft.rfft(audio))) * sample_rate / audio.shape[-1])


def write_with_ffmpeg(path: Path, audio: NDArray[np.float32], sample_rate: int, codec: str) -> None:
    """Encode audio (sample,) or (channel, sample) with a codec of FFmpeg ("aac", "libopus", "pcm_s16le")."""
    channels = np.atleast_2d(audio)
    layout = "mono" if channels.shape[0] == 1 else f"{channels.shape[0]}c"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=sample_rate, layout=layout)
        packed = np.ascontiguousarray(channels.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.pts = sample_rate, 0
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=sample_rate, frame_size=size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
