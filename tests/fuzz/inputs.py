"""Whole files of all kinds that the program reads, made by code: what is damaged."""

from __future__ import annotations

import io
import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from mido import Message, MetaMessage, MidiFile, MidiTrack

from tests.fakes import tones, write_with_ffmpeg

VOICE = tones([60, 64], 16000, duration=0.1)

STUDIO = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "adpcm.wav": ("WAV", "MS_ADPCM"),
    "wavex.wav": ("WAVEX", "PCM_24"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
    "aifc": ("AIFF", "FLOAT"),
    "au": ("AU", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "rf64": ("RF64", "PCM_16"),
    "voc": ("VOC", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "alac.caf": ("CAF", "ALAC_16"),
    "nist": ("NIST", "PCM_16"),
    "svx": ("SVX", "PCM_16"),
}
"""Suffix to format and encoding of libsndfile."""

PHONE = {
    "m4a": "aac",
    "mp4": "aac",
    "mov": "aac",
    "3gp": "aac",
    "webm": "libopus",
    "mkv": "aac",
    "mka": "flac",
    "aac": "aac",
    "ts": "aac",
    "avi": "libmp3lame",
    "wv": "wavpack",
    "tta": "tta",
    "ac3": "ac3",
    "oga": "flac",
    "flv": "aac",
}
"""Suffix to codec of FFmpeg."""

TABLES = {
    "csv": "onset,offset,pitch,note,velocity,confidence\n0.1,0.2,60.1,60,80,0.9\n0.2,0.3,64.0,64,90,0.8\n",
    "semicolons.csv": "sep=;\nNote;Onset;Offset;Velocity\nC4;0,1;0,2;80\nE4;0,2;0,3;\n",
    "tabs.csv": 'onset\toffset\tpitch\n0.1\t0.2\t"60"\n0.2\t0.3\t"64"\n',
}

PARAMS = """\
profile: default
profiles:
  default: {}
  quick: {stft: {segment_frames: 64}}
download: {corpora: [ssvd]}
stft: {segment_frames: 128, valid_fraction: 0.25, test_fraction: 0.0}
train: {transcriber: {seed: 1}}
"""


@cache
def audio_files() -> dict[str, bytes]:
    """Encode a voice in every container."""
    files = {}
    for suffix, (kind, subtype) in STUDIO.items():
        memory = io.BytesIO()
        soundfile.write(memory, VOICE, 16000, format=kind, subtype=subtype)
        files[suffix] = memory.getvalue()
    at_48_khz = np.repeat(VOICE, 3)
    for suffix, codec in PHONE.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"a.{suffix}"
            write_with_ffmpeg(path, at_48_khz, 48000, codec)
            files[suffix] = path.read_bytes()
    return files


@cache
def midi_files() -> dict[str, bytes]:
    """Write MIDI files of one and more tracks, with most events that there are."""
    song = MidiFile(type=1, ticks_per_beat=480)
    conductor, melody, drums = (MidiTrack() for _ in range(3))
    conductor += [
        MetaMessage("set_tempo", tempo=400_000),
        MetaMessage("time_signature", numerator=3, denominator=4),
        MetaMessage("key_signature", key="G"),
        MetaMessage("set_tempo", tempo=600_000, time=480),
    ]
    melody += [
        MetaMessage("track_name", name="Melody"),
        Message("program_change", program=5),
        Message("control_change", control=64, value=127),
        *(Message(kind, note=key, velocity=70, time=120) for key in (60, 64, 67) for kind in ("note_on", "note_off")),
        Message("sysex", data=(0x7E, 0x7F, 0x09, 0x01)),
        Message("control_change", control=123, value=0, time=10),
    ]
    drums += [Message(kind, channel=9, note=38, time=60) for kind in ("note_on", "note_off")]
    song.tracks += [conductor, melody, drums]
    plain = MidiFile(type=0)
    plain.tracks.append(MidiTrack(melody[3:9]))
    files = {}
    for name, file in (("song.mid", song), ("plain.mid", plain)):
        memory = io.BytesIO()
        file.save(file=memory)
        files[name] = memory.getvalue()
    plain_bytes = files["plain.mid"]
    files["rmid.mid"] = b"RIFF" + (len(plain_bytes) + 12).to_bytes(4, "little") + b"RMIDdata"
    files["rmid.mid"] += len(plain_bytes).to_bytes(4, "little") + plain_bytes
    return files


@cache
def model_files() -> dict[str, bytes]:
    """Save a tiny transcriber: the files of its folder."""
    from hf_model.config import from_mapping
    from hf_model.transcriber.config import TranscriberConfig
    from hf_model.transcriber.network import TranscriberNetwork
    from tests.tiny_shards import TINY_MODELS

    config = from_mapping(TranscriberConfig, TINY_MODELS["transcriber"])
    with tempfile.TemporaryDirectory() as folder:
        TranscriberNetwork(config).save_pretrained(folder)
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    content = json.loads(files["config.json"])
    undigested = {name: value for name, value in content.items() if "sha256" not in name}
    return {**files, "undigested.json": json.dumps(undigested).encode()}


@cache
def shard_files() -> dict[str, bytes]:
    """Write tiny shards and the manifest of their pairs: paths in the folder to contents."""
    from tests.tiny_shards import write_tiny_shards

    with tempfile.TemporaryDirectory() as folder:
        write_tiny_shards(Path(folder))
        paths = [path for path in Path(folder).rglob("*") if path.suffix in {".parquet", ".json"}]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
