"""The report of songs: the committed page follows from the committed figures, and pictures are drawn."""

import json
import shutil
from pathlib import Path

import numpy as np

from bench.songs.song_report import TITLES, save_song_picture, write_song_report
from hf_model.notes.note import Note

REPORTS = Path(__file__).resolve().parents[2] / "reports"


def test_committed_figures_give_the_committed_page(tmp_path: Path) -> None:
    for picture in REPORTS.glob("songs_*.png"):
        shutil.copy(picture, tmp_path)
    figures = json.loads((REPORTS / "songs.json").read_text(encoding="utf-8"))
    assert set(figures) == set(TITLES)
    text = write_song_report(tmp_path / "songs.md", figures)
    assert text == (REPORTS / "songs.md").read_text(encoding="utf-8")


def test_a_picture_shows_both_sounds_and_is_small(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(10 * 16000) / 16000).astype(np.float32)
    path = tmp_path / "picture.png"
    save_song_picture(path, "a", {"mix": tone, "separated": tone}, [Note(1.0, 2.0, 69.0)], [Note(1.1, 2.0, 69.0)], 0.0)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size < 150_000
