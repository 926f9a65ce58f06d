"""Progress bars on a terminal: of several files, and of a song that takes longer."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressBars:
    """Context in which files and the steps of a song have progress bars; nothing is shown until there is one.

    Parameters
    ----------
    n_files : int
        Their bar is shown for two and more.
    hidden : bool
        Show nothing; so it is, too, if standard error is not a terminal.
    """

    def __init__(self, n_files: int, *, hidden: bool) -> None:
        self._n_files = n_files
        self._hidden = hidden or not sys.stderr.isatty()
        self._n_done = 0
        self._bars: Progress | None = None
        self._files: TaskID | None = None
        self._songs: dict[str, TaskID] = {}
        self._steps: dict[str, str] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if not self._hidden and self._n_files > 1:
            self._files = self._start().add_task("converting", total=self._n_files, count=f"0/{self._n_files}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def step(self, share: float, name: str, file: str = "") -> None:
        """Show the step of a song, and the share of the song that is done, 0 to 1; from any thread.

        Parameters
        ----------
        share : float
        name : str
            Of the step.
        file : str
            The song, of which there may be several at a time.
        """
        if self._hidden:
            return
        with self._lock:
            bars = self._start()
            if file not in self._songs:
                self._songs[file] = bars.add_task(name, total=1.0, count="")
            is_new, self._steps[file] = name != self._steps.get(file), name
            bars.update(
                self._songs[file], completed=share, description=name, count=f"{100 * share:.0f} %", refresh=is_new
            )

    def finish_file(self, file: str = "") -> None:
        """Count a file, and remove its bar if it is a song."""
        with self._lock:
            self._n_done += 1
            if self._bars is None:
                return
            if file in self._songs:
                self._bars.remove_task(self._songs.pop(file))
            if self._files is not None:
                self._bars.update(self._files, completed=self._n_done, count=f"{self._n_done}/{self._n_files}")

    def _start(self) -> Progress:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            text, count = TextColumn("{task.description}"), TextColumn("{task.fields[count]}")
            console = Console(stderr=True)
            self._bars = Progress(
                text, BarColumn(), count, TimeRemainingColumn(), console=console, redirect_stdout=sys.stdout.isatty()
            )
            self._bars.start()
        return self._bars
