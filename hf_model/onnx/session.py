"""Networks of model folders in ONNX Runtime, on the processor."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_model.config import ConfigError
from hf_model.weights import CONFIG, DIGESTS, WeightsError, damaged, read_config, read_model_file, remedy

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODEL_FILE = "model.onnx"

ERRORS_ONLY = 3
"""Level of ONNX Runtime's own messages, on the standard error stream."""


def import_onnxruntime() -> Any:
    """Import ONNX Runtime, which takes a tenth of a second, with its telemetry off unless the user has turned it on.

    Otherwise it writes a device number into the user's cache folder, keeps a list of events there, and sends them.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it is only read when the library is loaded
    import onnxruntime

    return onnxruntime


class Session:
    """A network that maps named arrays to arrays.

    A call uses one thread; several threads may call at once (:func:`hf_model.parallel.threads.in_threads`).

    Parameters
    ----------
    content : bytes
        An ONNX file.

    Raises
    ------
    ValueError
        If it is none.
    """

    def __init__(self, content: bytes) -> None:
        onnxruntime = import_onnxruntime()
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        settings.log_severity_level = ERRORS_ONLY
        try:
            self._session = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no base class of their own
            raise ValueError(str(error)) from error
        self.inputs: tuple[str, ...] = tuple(one.name for one in self._session.get_inputs())
        """Names of the inputs."""
        self.outputs: tuple[str, ...] = tuple(one.name for one in self._session.get_outputs())
        """Names of the outputs."""

    def run(self, **inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Compute all outputs, in the order of :attr:`outputs`, from all inputs."""
        return tuple(self._session.run(None, inputs))


def load_session(folder: Path | str, name: str = MODEL_FILE, settings: Mapping[str, Any] | None = None) -> Session:
    """Load a network of a model folder.

    Parameters
    ----------
    folder : path
    name : str
        File in the folder, whose SHA-256 is in ``config.json``.
    settings : mapping, optional
        The content of ``config.json``, if it is known.

    Raises
    ------
    FileNotFoundError
        If the folder has no model.
    ConfigError
        If ``config.json`` is damaged, or the network was not exported yet; the message has the command.
    WeightsError
        If the file is damaged, belongs to another ``config.json``, or has no digest there.
    """
    settings = read_config(folder) if settings is None else settings
    path = Path(folder) / name
    if not path.is_file():
        msg = f"{path} is missing; `python -m hf_model.onnx.export {folder}` makes it from the weights (it needs torch)"
        raise ConfigError(msg)
    digests = settings.get(DIGESTS)
    if not isinstance(digests, Mapping) or name not in digests:  # a file that nobody exported may do anything
        msg = f"{path} is of unknown origin: {CONFIG} has no digest of it ({DIGESTS}.{name}); {remedy(folder)}"
        raise WeightsError(msg)
    content = read_model_file(folder, name, settings)
    try:
        return Session(content)
    except ValueError as error:
        raise damaged(path, error) from error
