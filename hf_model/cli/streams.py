"""The streams and signals of a program: closed pipes, full disks, closed streams, Ctrl-C and SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TextIO

BROKEN_PIPE = 141
"""Exit code of a program whose reader has gone, as shells give it (128 + SIGPIPE)."""


class GuardedStream:
    """A text stream that keeps its first error; what is written after it is discarded.

    A reader that has gone (``| head -1``) is no such error: it is raised.

    Parameters
    ----------
    stream : TextIO

    Attributes
    ----------
    error : OSError, optional
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write text, unless there was an error."""
        if self.error is None:
            try:
                return self._stream.write(text)
            except BrokenPipeError:
                raise
            except OSError as error:
                self.error = error
        return len(text)

    def flush(self) -> None:
        """Flush, unless there was an error."""
        if self.error is None:
            try:
                self._stream.flush()
            except BrokenPipeError:
                raise
            except OSError as error:
                self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class StandardOutputError(Exception):
    """Why standard output cannot be written."""


@contextmanager
def guarded_output() -> Iterator[None]:
    """Guard standard output within the context; after an error, Python's own flush at the exit goes nowhere.

    Raises
    ------
    StandardOutputError
        At the end of the context, if something could not be written.
    BrokenPipeError
        At once, if the reader has gone.
    """
    _open_closed_streams()
    stream = sys.stdout
    guarded = GuardedStream(stream)
    sys.stdout = guarded
    try:
        with _flushed(guarded):
            yield
    except BrokenPipeError:
        _discard(stream)
        raise
    finally:
        sys.stdout = stream
    if guarded.error is not None:
        _discard(stream)
        msg = f"cannot write to standard output: {guarded.error.strerror or guarded.error}"
        raise StandardOutputError(msg) from guarded.error


@contextmanager
def _flushed(guarded: GuardedStream) -> Iterator[None]:
    """Flush at the end, also at that of ``--help``."""
    try:
        yield
    except SystemExit:
        guarded.flush()
        if guarded.error is None:
            raise
    guarded.flush()


def _open_closed_streams() -> None:
    """Open the standard streams that are closed: the next file would take their place, and get what is printed."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115


def _discard(stream: TextIO) -> None:
    """Send to nowhere what a stream has not written."""
    with suppress(OSError, ValueError, AttributeError):  # not every stream is a file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Handle SIGTERM like Ctrl-C, so that files are cleaned up."""

    def interrupt(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can set signal handlers
        return
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
