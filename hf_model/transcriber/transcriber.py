"""The transcriber: voice audio to notes, with networks in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT, StftConfig
from hf_model.notes.note import Note
from hf_model.onnx.model import OnnxModel
from hf_model.onnx.session import load_session
from hf_model.transcriber.config import TranscriberConfig
from hf_model.transcriber.decoding import DecoderConfig
from hf_model.transcriber.note_stream import NoteStream
from hf_model.transcriber.posteriors import CHUNK_FRAMES, LocalFeatures, PosteriorArrays, PosteriorStream
from hf_model.transcriber.slurs import mark_trills
from hf_model.transcriber.spectra import LONG_WINDOW, SHORT_WINDOW, power_spectra
from hf_model.weights import part_of_config

FloatArray = NDArray[np.float32]

CONTEXT_FILE = "context.onnx"
"""The second step of the network; the first one is in ``model.onnx``."""


class Transcriber(OnnxModel):
    """A trained transcriber: :class:`hf_model.transcriber.network.TranscriberNetwork` after its export.

    The network is computed in two steps. The first one has a small receptive field, and computes the pitch posteriors
    and local features; the second one computes the other posteriors from the local features, with a large receptive
    field in time. Parameters as for :class:`hf_model.onnx.model.OnnxModel`.

    Attributes
    ----------
    decoder : DecoderConfig
        Decoder settings that were fitted to the weights.
    """

    config_class = TranscriberConfig
    kind = "transcriber"
    config: TranscriberConfig

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        super().__init__(folder, settings)
        self.decoder = part_of_config(DecoderConfig, folder, settings, "decoder")
        self._local = load_session(folder, settings=settings)
        self._context = load_session(folder, CONTEXT_FILE, settings)

    @property
    def stft_config(self) -> StftConfig:
        """The grid of the posteriors."""
        return VOICE_STFT

    @property
    def local_reach(self) -> int:
        """Frames on either side that :meth:`local` depends on."""
        return self.config.local_reach

    @property
    def context_reach(self) -> int:
        """Frames on either side that :meth:`context` depends on."""
        return self.config.context_reach

    def local(self, waveform: FloatArray) -> LocalFeatures:
        """Compute the pitch posteriors and the local features.

        Parameters
        ----------
        waveform : ndarray, shape (sample,)
            16 kHz, brought to constant level by :func:`hf_model.transcriber.level.set_level`.

        Returns
        -------
        LocalFeatures
            ``1 + n_samples // 160`` frames.
        """
        long, short = (power_spectra(waveform, config) for config in (LONG_WINDOW, SHORT_WINDOW))
        features, pitch = self._local.run(long=long, short=short)
        return LocalFeatures(features, pitch, short)

    def context(self, features: FloatArray) -> FloatArray:
        """Compute probabilities of onset, offset and voicing, (3, frame), from local features (frame, channel)."""
        return self._context.run(features=features)[0]

    def refine(self, posteriors: PosteriorArrays, power: FloatArray) -> PosteriorArrays:
        """Write the notes of trills into posteriors; see :func:`hf_model.transcriber.slurs.mark_trills`."""
        return mark_trills(posteriors, power, self.config.lowest_pitch, self.config.pitch_step)

    def transcribe(self, audio: FloatArray, decoder: DecoderConfig | None = None) -> list[Note]:
        """Transcribe a recording into notes.

        Parameters
        ----------
        audio : ndarray, shape (sample,)
            16 kHz, any level.
        decoder : DecoderConfig, optional
            By default the settings that were fitted to these weights.

        Returns
        -------
        list of Note
            Sorted, without overlaps; float pitch and default velocity.
        """
        stream = self.stream(decoder)
        return stream.push(audio) + stream.finish()

    def stream(
        self, decoder: DecoderConfig | None = None, *, sample_rate: int = 16000, chunk_seconds: float | None = None
    ) -> NoteStream:
        """Transcribe audio block by block; parameters as for :meth:`transcribe` and :class:`NoteStream`."""
        settings = decoder or self.decoder

        def decode(onset: FloatArray, offset: FloatArray, voicing: FloatArray, pitch: FloatArray) -> list[Note]:
            return self.config.evidence(onset, offset, voicing, pitch, settings).decode(settings)

        return NoteStream(self, decode, sample_rate=sample_rate, chunk_seconds=chunk_seconds)

    def posteriors(self, audio: FloatArray, chunk_frames: int = CHUNK_FRAMES) -> PosteriorArrays:
        """Compute probabilities of a whole recording: what :meth:`posterior_chunks` yields, joined."""
        return [np.concatenate(items) for items in zip(*self.posterior_chunks(audio, chunk_frames), strict=True)]

    def posterior_chunks(self, audio: FloatArray, chunk_frames: int = CHUNK_FRAMES) -> Iterator[PosteriorArrays]:
        """Compute probabilities chunk by chunk; the boundaries of chunks do not change them.

        Parameters
        ----------
        audio : ndarray, shape (sample,)
            16 kHz, any level.
        chunk_frames : int
            Frames computed at once, without those that they depend on.

        Yields
        ------
        list of ndarray
            onset, offset, voicing (frame,) and pitch (frame, pitch_bin).
        """
        stream = PosteriorStream(self, chunk_frames)
        yield from stream.push(audio)
        yield from stream.finish()
