"""Practice on the page: the score of the user is read in a process of its own, and hostile ones are refused."""

import dataclasses
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hf_model.app.limits import BusyError, Limits, PageError
from hf_model.app.panels.practice import EMPTY, NO_SCORE, attempt_score, practice, store_score
from hf_model.app.sessions import Session, Sessions
from hf_model.notes.midi import write_midi
from hf_model.notes.note import Note

LIMITS = Limits()
KEYS = (60, 62, 64, 65, 67)
SUNG = [[0.5 * number, 0.5 * number + 0.4, key + 0.1, 80, 0.9] for number, key in enumerate(KEYS)]


def midi(folder: Path) -> bytes:
    write_midi(folder / "a.mid", [Note(0.4 * k, 0.4 * k + 0.3, float(key + 12)) for k, key in enumerate(KEYS)])
    return (folder / "a.mid").read_bytes()


def table(_folder: Path) -> bytes:
    rows = [f"{0.4 * k},{0.4 * k + 0.3},{key}" for k, key in enumerate(KEYS)]
    return "\n".join(["onset,offset,note", *rows]).encode()


def musicxml(_folder: Path) -> bytes:
    steps = "".join(
        f"<note><pitch><step>{step}</step><octave>4</octave></pitch><duration>1</duration><type>quarter</type></note>"
        for step in "CDEFG"
    )
    return (
        '<?xml version="1.0"?><score-partwise version="4.0"><part-list><score-part id="P1"><part-name>a</part-name>'
        '</score-part></part-list><part id="P1"><measure number="1"><attributes><divisions>1</divisions></attributes>'
        f"{steps}</measure></part></score-partwise>"
    ).encode()


def compressed(folder: Path) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        container = '<container><rootfiles><rootfile full-path="a.musicxml"/></rootfiles></container>'
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("a.musicxml", musicxml(folder))
    return file.getvalue()


@pytest.mark.parametrize(
    ("make", "transposition"),
    [(midi, -12), (table, 0), (musicxml, 0), (compressed, 0)],
    ids=["MIDI", "table", "MusicXML", "compressed MusicXML"],
)
def test_scores_of_every_kind_are_compared(
    session: Session, sessions: Sessions, tmp_path: Path, make: Callable[[Path], bytes], transposition: int
) -> None:
    store_score(session, sessions, table(tmp_path))
    store_score(session, sessions, make(tmp_path))
    steps: list[str] = []
    found = practice(session, SUNG, LIMITS, lambda _share, step: steps.append(step))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["n_sung"], found["n_missed"], found["transposition"]) == (5, 0, transposition)
    assert steps == ["Reading the score", "Comparing"]
    assert len(list(session.folder.glob("practice*"))) == 1, "the last score only"


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
OUTSIDE = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><score-partwise>&x;</score-partwise>'
)


def write_zip_bomb(_folder: Path) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("a.musicxml", bytes(60_000_000))
    return file.getvalue()


HOSTILE: dict[str, bytes | Callable[[Path], bytes]] = {
    "text": b"la la la",
    "bytes": bytes(range(256)) * 20,
    "page": b"<!doctype html><script>alert(1)</script>",
    "cut MIDI": b"MThd\0\0\0\6\0\1\0\1\0\x60MTrk\0\0",
    "entities": f'<?xml version="1.0"?>{BOMB}]><score-partwise>&i;</score-partwise>'.encode(),
    "a file of the server": OUTSIDE.encode(),
    "cut archive": b"PK\3\4 and nothing",
    "zip bomb": write_zip_bomb,
    "endless repeats": lambda folder: musicxml(folder).replace(
        b"</measure>", b'<barline><repeat direction="backward" times="1000000000"/></barline></measure>'
    ),
    "recording": b"RIFF\0\0\0\0WAVEfmt ",
}


def test_hostile_scores_are_one_sentence(session: Session, sessions: Sessions, tmp_path: Path) -> None:
    for name, made in HOSTILE.items():
        store_score(session, sessions, made(tmp_path) if callable(made) else made)
        with pytest.raises(PageError) as refused:
            practice(session, SUNG, LIMITS, lambda *_: None)
        sentence = str(refused.value)
        assert sentence.startswith("This score") or "cannot be decoded" in sentence, name
        assert str(tmp_path) not in sentence, name
        assert "root:" not in sentence, name
        assert len(sentence) < 260, name


def test_what_is_missing_is_said(session: Session, sessions: Sessions, tmp_path: Path) -> None:
    with pytest.raises(PageError, match=re.escape(NO_SCORE)):
        practice(session, SUNG, LIMITS, lambda *_: None)
    with pytest.raises(PageError, match=EMPTY):
        store_score(session, sessions, b"")
    store_score(session, sessions, table(tmp_path))
    with pytest.raises(PageError, match="The recording has 0 notes"):
        practice(session, [], LIMITS, lambda *_: None)
    other = [[0.3 * k, 0.3 * k + 0.2, 60.0 + 7 * (k % 3) - k, 80, 1] for k in range(15)]
    with pytest.raises(PageError, match="is not of this score"):
        practice(session, other, LIMITS, lambda *_: None)
    assert attempt_score(tmp_path / "none.mid", tmp_path / "x", LIMITS)["error"]


def test_a_score_counts_among_the_bytes(session: Session, sessions: Sessions, tmp_path: Path) -> None:
    sessions.limits = dataclasses.replace(LIMITS, disk_bytes=10)
    with pytest.raises(BusyError):
        store_score(session, sessions, table(tmp_path))
    assert not list(session.folder.glob("practice*"))
