"""What is listened to: a microphone, or a file that stands in for one."""

from __future__ import annotations

import queue
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.reader import AudioReader

FloatArray = NDArray[np.float32]

BLOCK_SECONDS = 0.02
"""Length of the blocks of a microphone; shorter ones would lower the latency little, and longer ones raise it."""

WAITING_SECONDS = 20.0
"""Sound that may wait while the computer is busy; more than that is lost, with a warning."""

INSTALL = "pip install 'hummingface[live]'"

PORTAUDIO = (
    "PortAudio is missing, through which sound is recorded: sudo apt install libportaudio2 "
    "(Fedora: sudo dnf install portaudio; Arch: sudo pacman -S portaudio)"
)


class InputError(Exception):
    """Why there is nothing to listen to."""


class Input(ABC):
    """Sound that arrives in blocks, as a context.

    Attributes
    ----------
    name : str
    sample_rate : int
        Hz.
    lost_seconds : float
        Sound that was lost because the computer was too busy.
    """

    name: str
    sample_rate: int
    lost_seconds: float

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def blocks(self) -> Iterator[FloatArray]:
        """Yield mono blocks (sample,), full scale at 1, until the sound ends or :meth:`stop` is called.

        Blocks are empty while nothing arrives.
        """

    @abstractmethod
    def stop(self) -> None:
        """End the sound: what has arrived is still given."""


class FileInput(Input):
    """A file in place of a microphone.

    Parameters
    ----------
    path : path
        Any file that can be converted.
    fast : bool
        As fast as it can be transcribed, instead of as fast as it sounds.

    Raises
    ------
    AudioError
        If it cannot be read.
    """

    def __init__(self, path: Path, *, fast: bool = False) -> None:
        self._reader = AudioReader(path)
        self._fast, self._stopped = fast, False
        self.name, self.sample_rate, self.lost_seconds = str(path), self._reader.sample_rate, 0.0

    def blocks(self) -> Iterator[FloatArray]:
        """Yield mono blocks of ``BLOCK_SECONDS``."""
        size, n_read, started = max(1, round(BLOCK_SECONDS * self.sample_rate)), 0, time.perf_counter()
        for read in self._reader:
            mono = np.asarray(read.mean(axis=0), dtype=np.float32)
            for first in range(0, mono.size, size):
                block = mono[first : first + size]
                n_read += block.size
                if self._stopped:
                    return
                if not self._fast:
                    time.sleep(max(0.0, started + n_read / self.sample_rate - time.perf_counter()))
                yield block

    def stop(self) -> None:
        """End the sound."""
        self._stopped = True


class Microphone(Input):
    """A microphone, or another input of the computer, in 16 bits.

    Parameters
    ----------
    device : str
        Its number or a part of its name, as :func:`list_inputs` gives them; "" for the default one.

    Raises
    ------
    InputError
        If there is none, or sounddevice or PortAudio is not installed.
    """

    def __init__(self, device: str = "") -> None:
        self._sounddevice = load_sounddevice()
        chosen: int | str | None = int(device) if device.isdecimal() else device or None
        try:
            found = self._sounddevice.query_devices(chosen, "input")
        except (ValueError, self._sounddevice.PortAudioError) as error:
            msg = f"no such input: {device}" if device else "no microphone was found"
            raise InputError(f"{msg}; --list-devices shows what there is") from error
        self._device = chosen
        self.name, self.sample_rate = str(found["name"]), int(found["default_samplerate"])
        self.lost_seconds = 0.0
        most = round(WAITING_SECONDS / BLOCK_SECONDS)
        self._arrived: queue.Queue[bytes | None] = queue.Queue(most)
        self._stream: Any = None

    def __enter__(self) -> Self:
        try:
            self._stream = self._sounddevice.RawInputStream(
                samplerate=self.sample_rate,
                blocksize=round(BLOCK_SECONDS * self.sample_rate),
                device=self._device,
                channels=1,
                dtype="int16",
                latency="low",
                callback=self._take,
                finished_callback=self._end,
            )
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            msg = f"{self.name} cannot be opened: {error}"
            raise InputError(msg) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close(ignore_errors=True)

    def blocks(self) -> Iterator[FloatArray]:
        """Yield mono blocks, as they arrive."""
        while True:
            try:
                block = self._arrived.get(timeout=0.5)
            except queue.Empty:
                if not self._stream.active:  # unplugged
                    return
                block = b""
            if block is None:
                return
            yield np.frombuffer(block, dtype=np.int16).astype(np.float32) / np.float32(32768)

    def stop(self) -> None:
        """Stop recording; what has arrived is still given."""
        if self._stream is not None:
            self._stream.stop(ignore_errors=True)

    def _take(self, data: Any, n_frames: int, _time: Any, status: Any) -> None:
        """Store a block; called in a thread of PortAudio."""
        lost = n_frames / self.sample_rate
        if status and status.input_overflow:
            self.lost_seconds += lost
        try:
            self._arrived.put_nowait(bytes(data))
        except queue.Full:
            self.lost_seconds += lost

    def _end(self) -> None:
        """Mark the end of the sound, in place of the last block if there is no room."""
        while True:
            try:
                self._arrived.put_nowait(None)
            except queue.Full:
                self._arrived.get_nowait()
            else:
                return


def open_input(name: str, *, fast: bool = False) -> Input:
    """Open a file, if there is one of that name, or else a microphone.

    Raises
    ------
    AudioError, InputError
        If it cannot be opened.
    """
    path = Path(name).expanduser()
    if name and (path.is_file() or (path.suffix and not name.isdecimal())):
        return FileInput(path, fast=fast)
    return Microphone(name)


def list_inputs() -> list[str]:
    """Describe the inputs of this computer: number, name, rate, and which is the default.

    Raises
    ------
    InputError
        If sounddevice or PortAudio is not installed.
    """
    sounddevice = load_sounddevice()
    default = sounddevice.default.device[0]
    return [
        f"{number}: {found['name']} ({found['default_samplerate']:.0f} Hz{', default' if number == default else ''})"
        for number, found in enumerate(sounddevice.query_devices())
        if found["max_input_channels"] > 0
    ]


def load_sounddevice() -> Any:
    """Import sounddevice.

    Raises
    ------
    InputError
        If it is not installed, or its library is missing: what to install.
    """
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        msg = f"a microphone needs sounddevice: {INSTALL}"
        raise InputError(msg) from error
    except OSError as error:
        raise InputError(PORTAUDIO) from error
    return sounddevice
