"""Progress bars on a terminal: of several files, and of a song that takes longer."""

from __future__ import annotations

import sys
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
        self._song: TaskID | None = None
        self._step = ""

    def __enter__(self) -> Self:
        if not self._hidden and self._n_files > 1:
            self._files = self._start().add_task("converting", total=self._n_files, count=f"0/{self._n_files}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def step(self, share: float, name: str) -> None:
        """Show the step of a song, and the share of the song that is done, 0 to 1."""
        if self._hidden:
            return
        bars = self._start()
        if self._song is None:
            self._song = bars.add_task(name, total=1.0, count="")
        is_new, self._step = name != self._step, name
        bars.update(self._song, completed=share, description=name, count=f"{100 * share:.0f} %", refresh=is_new)

    def finish_file(self) -> None:
        """Count a file, and remove the bar of a song."""
        self._n_done += 1
        if self._bars is None:
            return
        if self._song is not None:
            self._bars.remove_task(self._song)
            self._song = None
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
