"""Write the files of one conversion: all of them, or none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from hf_model.piano.performance import Take


class FileError(Exception):
    """Why one file cannot be converted; the message names it."""


@dataclass(frozen=True)
class Job:
    """One input and its outputs by kind (wav, midi and what else is asked for), or why it is refused or left out."""

    source: Path
    outputs: Mapping[str, Path] = field(default_factory=dict)
    problem: str | None = None
    skipped: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there is something to convert."""
        return not (self.problem or self.skipped)


def level_of(take: Take) -> tuple[float, float | None, float | None]:
    """Give gain, loudness and true peak as a report tells them."""
    loudness, peak = (round(level, 2) if math.isfinite(level) else None for level in (take.loudness, take.true_peak))
    return round(take.gain, 4), loudness, peak


@contextmanager
def whole_files(job: Job) -> Iterator[dict[str, Path]]:
    """Give temporary names beside the outputs; rename them at the end, or remove them if anything goes wrong."""
    tag = uuid4().hex[:12]
    temporary = {kind: path.with_name(f".hummingface-{tag}.{kind}.part") for kind, path in job.outputs.items()}
    folder = job.outputs["wav"].parent
    is_new = not folder.exists()
    try:
        with blame_disk(job):
            folder.mkdir(parents=True, exist_ok=True)
            for path in temporary.values():
                path.touch(exist_ok=False)
        yield temporary
        with blame_disk(job):
            _rename_all({temporary[kind]: path for kind, path in job.outputs.items()})
    finally:
        if folder.is_dir():
            for path in temporary.values():
                path.unlink(missing_ok=True)
            if is_new and not any(folder.iterdir()):
                folder.rmdir()


def _rename_all(names: Mapping[Path, Path]) -> None:
    """Rename every file, or none."""
    done: list[Path] = []
    try:
        for old, new in names.items():
            old.replace(new)
            done.append(new)
    except OSError:
        for new in done:
            new.unlink()
        raise


@contextmanager
def blame_disk(job: Job) -> Iterator[None]:
    """Name the input and the folder when a file cannot be written."""
    import soundfile

    try:
        yield
    except (OSError, soundfile.SoundFileError) as error:
        reason = getattr(error, "strerror", None) or error
        msg = f"{job.source}: cannot write to {job.outputs['wav'].parent}: {reason}"
        raise FileError(msg) from error
