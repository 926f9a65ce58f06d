"""Scores that cannot be read: each is refused with the name of the file, before it takes memory or time."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from hf_model.lyrics.musicxml_melody import MAX_BYTES, read_musicxml_melody

SCORE = """<score-partwise version="4.0">
<part-list><score-part id="P1"><part-name>a</part-name></score-part></part-list>
<part id="P1"><measure number="1"><attributes><divisions>1</divisions></attributes>
<barline location="left"><repeat direction="forward"/></barline>
<note><pitch><step>C</step><octave>4</octave></pitch><duration>4</duration></note>
<barline location="right"><repeat direction="backward" times="@TIMES@"/></barline></measure></part></score-partwise>"""


def test_repeats_are_played(tmp_path: Path) -> None:
    path = tmp_path / "song.musicxml"
    path.write_text(SCORE.replace("@TIMES@", "3"), encoding="utf-8")
    assert len(read_musicxml_melody(path).notes) == 3


def test_endless_repeats_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "song.musicxml"
    path.write_text(SCORE.replace("@TIMES@", "1000000"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"song\.musicxml.*repeated 1000000 times"):
        read_musicxml_melody(path)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "song.mxl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("song.xml", b"\0" * (MAX_BYTES + 1))
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"song\.mxl: larger than 20 MB"):
        read_musicxml_melody(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name")
def test_a_pipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "song.musicxml"
    os.mkfifo(path)
    with pytest.raises(ValueError, match="a pipe or a device"):
        read_musicxml_melody(path)
