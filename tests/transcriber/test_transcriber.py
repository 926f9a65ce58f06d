"""The transcriber without torch: the posteriors of the trained network, chunks, levels and folders."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hf_model.config import ConfigError, to_mapping
from hf_model.notes.note import Note
from hf_model.onnx.export import export_graph
from hf_model.onnx.session import Session
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import sing as sing_phrase
from hf_model.transcriber import level
from hf_model.transcriber.config import TranscriberConfig
from hf_model.transcriber.decoding import DecoderConfig
from hf_model.transcriber.features import set_level
from hf_model.transcriber.network import TranscriberNetwork
from hf_model.transcriber.posteriors import PosteriorArrays
from hf_model.transcriber.transcriber import Transcriber
from hf_model.weights import WEIGHTS, WeightsError
from tests.tiny_shards import sing

SMALL = TranscriberConfig(lowest_hz=200.0, pitch_bands=30, bins_per_band=2, channels=4, width=8, dilations=(1, 4))
SHIPPED = ("transcriber", "transcriber_made", "transcriber_songs")


@cache
def voice() -> NDArray[np.float32]:
    return sing_phrase(compose(3, 12.0), 3).audio


@cache
def small_network() -> TranscriberNetwork:
    """A network with running statistics of the voice."""
    torch.manual_seed(0)
    small = TranscriberNetwork(SMALL)
    for _ in range(20):
        small(set_level(torch.from_numpy(voice())[None]))
    return small.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small")
    small_network().save_pretrained(path, decoder=to_mapping(DecoderConfig(note_cost=1.25)))
    return path


@pytest.fixture(scope="module")
def small(folder: Path) -> Transcriber:
    return Transcriber.from_pretrained(folder)


@torch.inference_mode()
def posteriors_in_torch(network: TranscriberNetwork, audio: NDArray[np.float32]) -> PosteriorArrays:
    *logits, pitch = (part[0] for part in network(set_level(torch.from_numpy(audio)[None])))
    return [*(torch.sigmoid(part).numpy() for part in logits), pitch.softmax(-1).numpy()]


@pytest.mark.parametrize("name", [*SHIPPED, "small"])
def test_posteriors_are_those_of_the_trained_network(name: str, folder: Path) -> None:
    """Pitch to 1e-4; onset, offset and voicing too before they are converted to 8 bits, which changes them little."""
    source = folder if name == "small" else WEIGHTS / name
    transcriber, network = Transcriber.from_pretrained(source), TranscriberNetwork.from_pretrained(source)
    found, expected = transcriber.posteriors(voice()), posteriors_in_torch(network, voice())
    np.testing.assert_allclose(found[3], expected[3], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found[3].sum(1), 1.0, atol=1e-5)

    in_float32 = Session(export_graph(replace(network.graphs()["context.onnx"], calibration=())))
    [boundaries] = in_float32.run(features=transcriber.local(level.set_level(voice())).features)
    for ours, exact, in_torch in zip(found[:3], boundaries, expected[:3], strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(exact, in_torch, rtol=0, atol=1e-4)
        assert float(np.abs(ours - in_torch).mean()) < 0.01
        assert float(np.abs(ours - in_torch).max()) < 0.4


@pytest.mark.parametrize("chunk_frames", [37, 100, 250])
def test_the_length_of_chunks_changes_nothing(small: Transcriber, chunk_frames: int) -> None:
    audio = voice()[: 48000 - 77]
    whole = small.posteriors(audio, chunk_frames=10_000)
    for one, other in zip(whole, small.posteriors(audio, chunk_frames), strict=True):
        assert len(one) == 1 + len(audio) // 160
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("at", [300, 511])
def test_frames_depend_on_their_reach_only(small: Transcriber, at: int) -> None:
    local, cut = small.local(voice()), small.local(voice()[at * 160 :])
    inside = slice(at + small.local_reach, None)
    for part, whole in zip(cut, local, strict=True):
        np.testing.assert_allclose(part[small.local_reach :], whole[inside], rtol=0, atol=1e-5)
    assert not np.allclose(cut.features[small.local_reach - 3], local.features[inside.start - 3], atol=1e-5)
    context, cut_context = small.context(local.features), small.context(local.features[at:])
    inside = slice(at + small.context_reach, None)
    np.testing.assert_allclose(cut_context[:, small.context_reach :], context[:, inside], rtol=0, atol=1e-5)


@pytest.mark.parametrize("gain", [0.01, 8.0])
def test_the_level_of_a_recording_does_not_matter(small: Transcriber, gain: float) -> None:
    audio = sing((Note(0.1, 0.9, 62),), 1.0, 16000)
    for one, other in zip(small.posteriors(audio), small.posteriors(np.float32(gain) * audio), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("n_samples", [1, 159, 160, 800])
def test_very_short_recordings_are_transcribed(small: Transcriber, n_samples: int) -> None:
    silence = np.zeros(n_samples, dtype=np.float32)
    assert Transcriber.from_pretrained(WEIGHTS / "transcriber").transcribe(silence) == []
    posteriors = small.posteriors(silence)
    assert [len(part) for part in posteriors] == [1 + n_samples // 160] * 4
    assert posteriors[3].shape[1] == SMALL.n_pitch_bins


def test_settings_of_the_decoder_are_loaded(small: Transcriber, tmp_path: Path) -> None:
    assert small.config == SMALL
    assert small.decoder.note_cost == 1.25
    small_network().save_pretrained(tmp_path)
    assert Transcriber.from_pretrained(tmp_path).decoder == DecoderConfig(), "without settings, the default"
    small_network().save_pretrained(tmp_path, decoder={"note_price": 1.0})
    with pytest.raises(ConfigError, match=r"decoder\.note_price"):
        Transcriber.from_pretrained(tmp_path)


def test_a_copy_gives_the_same_notes(small: Transcriber, tmp_path: Path) -> None:
    small.save_pretrained(tmp_path / "new" / "copy")
    small.save_pretrained(small.folder)  # onto itself: nothing changes
    again = Transcriber.from_pretrained(tmp_path / "new" / "copy")
    assert again.decoder == small.decoder
    assert all(np.array_equal(a, b) for a, b in zip(again.posteriors(voice()), small.posteriors(voice()), strict=True))


def test_other_processes_load_the_same_model(small: Transcriber) -> None:
    again = pickle.loads(pickle.dumps(small))
    assert all(np.array_equal(a, b) for a, b in zip(again.posteriors(voice()), small.posteriors(voice()), strict=True))


@pytest.mark.parametrize("name", ["model.onnx", "context.onnx"])
def test_missing_and_damaged_networks_are_named(folder: Path, name: str, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(
        WeightsError, match=rf"{name} is damaged or belongs to another config\.json \(sha256\.{name} dif"
    ):
        Transcriber.from_pretrained(copy)
    (copy / name).unlink()
    with pytest.raises(ConfigError, match=rf"{name} is missing; `python -m hf_model\.onnx\.export .*copy` makes it"):
        Transcriber.from_pretrained(copy)


PROGRAM = """
import sys
import numpy as np
import hf_model
stream = hf_model.listen(16000)
assert stream.push(np.zeros(16000)) + stream.finish() == []
assert hf_model.transcribe(np.zeros(16000), 16000, source="voice") == []
print(sorted({"torch", "scipy", "matplotlib"} & set(sys.modules)))
"""


def test_transcribing_imports_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
