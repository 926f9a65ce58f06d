from __future__ import annotations

from xml.etree import ElementTree

import pytest

from bench.music.scores import perform
from bench.music.tunes import TUNES
from hf_model.export import engraving
from hf_model.export.engraving import SVG, engrave, write_pdf, write_svg
from hf_model.export.musicxml import MusicXMLError

AULD = perform(next(tune for tune in TUNES if tune.name == "auld lang syne"))


def classes(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in root.iter(f"{SVG}g") if name in (element.get("class") or "").split()]


def test_a_score_as_one_picture(tmp_path):
    pytest.importorskip("verovio")
    write_svg(tmp_path / "a.svg", AULD, "Auld Lang Syne")
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert len(classes(root, "note")) == len(AULD.piano_notes)
    assert len(classes(root, "measure")) == 9, "a pick-up and eight bars"
    assert "Auld Lang Syne" in "".join(root.itertext())
    (mark,) = classes(root, "tempo")
    assert len(mark.findall(f"{SVG}path")) == 1, "the quarter of the tempo mark is an outline"
    assert "96" in "".join(mark.itertext())
    (line, *_) = classes(root, "staff")[0].findall(f"{SVG}path")
    top, place = float(line.get("d").split()[1]), mark.find(f"{SVG}path").get("transform")
    baseline, scale = (float(place.split(text)[1].split(end)[0]) for text, end in ((", ", ")"), ("scale(", ",")))
    assert top - (baseline + 126 * scale) > 90, "the head of its note is half a space above the staff or more"
    assert "@font-face" not in ElementTree.tostring(root, encoding="unicode")


def test_a_score_on_pages(tmp_path):
    pytest.importorskip("verovio")
    pypdf = pytest.importorskip("pypdf")
    pytest.importorskip("cairosvg", exc_type=OSError)
    write_pdf(tmp_path / "a.pdf", AULD, "Auld Lang Syne")
    document = pypdf.PdfReader(tmp_path / "a.pdf")
    assert len(document.pages) == 1
    assert [round(float(side)) for side in document.pages[0].mediabox[2:]] == pytest.approx([595, 842], abs=2)
    assert document.metadata.title == "Auld Lang Syne"


def test_without_verovio_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(engraving, "find_spec", lambda _: None)
    with pytest.raises(MusicXMLError, match=r"pip install 'hummingface\[engrave\]'"):
        engrave(AULD)
