"""Pictures and sounds of examples side by side in HTML, without other files."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SECONDS = 12.0
"""Seconds of each sound on the page; whole files are logged beside it."""

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:1.5em auto;max-width:1100px;padding:0 1em;color:#1c1f2b}"
    "section{border-top:1px solid #ccd;padding:.6em 0}h2{font-size:1.05em}img{width:100%;height:auto}"
    ".sounds{display:flex;flex-wrap:wrap;gap:1em}figure{margin:0;flex:1 1 220px}audio{width:100%}"
)


@dataclass(frozen=True)
class Example:
    """A recording with its renditions.

    Attributes
    ----------
    name : str
        Corpus and recording.
    sounds : mapping of str to Path
        Audio files by label: "voice", "reference", and one for each sound.
    picture : Path, optional
        Spectrograms of voice and piano.
    facts : str
        A line of figures.
    is_synthetic : bool
        Whether nobody's voice is in it: only then it may be on a page that is kept under version control.
    """

    name: str
    sounds: Mapping[str, Path]
    picture: Path | None = None
    facts: str = ""
    is_synthetic: bool = False


def write_listening_page(path: Path, examples: Sequence[Example]) -> None:
    """Write the page; sounds are cut to ``SECONDS`` and stored as MP3 (or WAV where MP3 cannot be written)."""
    head = "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><title>Examples</title>"
    parts = [f"{head}<style>{STYLE}</style><h1>Examples</h1>", *(html_of(example) for example in examples)]
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def html_of(example: Example, labels: Mapping[str, str] | None = None) -> str:
    """Write an example as a section; ``labels`` are other names of its sounds."""
    parts = [f"<section><h2>{html.escape(example.name)}</h2>"]
    if example.facts:
        parts.append(f"<p>{html.escape(example.facts)}</p>")
    if example.picture is not None and example.picture.is_file():
        parts.append(html_of_picture(example.picture, "spectrograms of voice and piano"))
    parts.append('<div class="sounds">')
    for label, sound in example.sounds.items():
        kind, content = encode(sound)
        code = base64.b64encode(content).decode()
        parts.append(f"<figure><figcaption>{html.escape((labels or {}).get(label, label))}</figcaption>")
        parts.append(f'<audio controls preload="none" src="data:{kind};base64,{code}"></audio></figure>')
    return "\n".join([*parts, "</div></section>"])


def html_of_picture(path: Path, description: str) -> str:
    """Write a PNG as an element that holds it."""
    code = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{html.escape(description)}" src="data:image/png;base64,{code}">'


def encode(path: Path) -> tuple[str, bytes]:
    """Read the first seconds of a sound and compress them; returns the MIME type and the bytes."""
    import soundfile

    with soundfile.SoundFile(path) as file:
        sample_rate = file.samplerate
        audio = file.read(round(SECONDS * sample_rate), dtype="float32", always_2d=True).mean(axis=1)
    written = io.BytesIO()
    try:
        soundfile.write(written, audio, sample_rate, format="MP3")
    except (soundfile.LibsndfileError, ValueError):  # libsndfile before 1.1
        written = io.BytesIO()
        soundfile.write(written, audio, sample_rate, format="WAV", subtype="PCM_16")
        return "audio/wav", written.getvalue()
    return "audio/mpeg", written.getvalue()
