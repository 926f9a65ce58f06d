"""Engraved scores: SVG and PDF, by verovio."""

from __future__ import annotations

import io
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

from hf_model.export.musicxml import MusicXMLError, to_musicxml
from hf_model.music.arrangement import Arranged

SCALE = 0.4
"""Of verovio's size: staves of 7 mm on A4."""

PAGE, TALLEST = (1984, 2806), 60000
"""Width and height of a page, A4 at this scale; the greatest height."""

MARGIN = 120

FONT = "Leipzig"

LYRIC_SPACE = 2.5
"""Between two words; verovio's own 1.2 is none in other fonts than its own."""

TEMPO_LIFT = 90
"""Units, half a space: by so much the tempo mark is higher than verovio's, which touches the time signature."""

SIGNS = {"\uea64": "♭", "\uea65": "♮", "\uea66": "♯", "\ued60": "♭", "\ued61": "♮", "\ued62": "♯"}
"""Letters of the music font within the words of a chord symbol, and the same in other fonts."""

SVG = "{http://www.w3.org/2000/svg}"

Element = ElementTree.Element


def write_svg(path: Path | str, arranged: Arranged, title: str = "") -> None:
    """Write a score as one SVG picture, as wide as a page and as high as the music.

    Raises
    ------
    MusicXMLError
        If verovio or music21 is not installed.
    """
    (picture,) = engrave(arranged, title, in_pages=False)
    Path(path).write_text(picture, encoding="utf-8")


def write_pdf(path: Path | str, arranged: Arranged, title: str = "") -> None:
    """Write a score as PDF, on pages of A4.

    Raises
    ------
    MusicXMLError
        If verovio, music21, CairoSVG, pypdf or the library cairo is not installed.
    """
    pages = engrave(arranged, title)
    try:
        import cairosvg
        from pypdf import PdfWriter
    except ImportError as error:
        raise _missing() from error
    except OSError as error:
        msg = "PDF needs the library cairo, which is not installed (Debian: libcairo2, macOS: brew install cairo)"
        raise MusicXMLError(msg) from error
    document = PdfWriter()
    for page in pages:
        document.append(io.BytesIO(cairosvg.svg2pdf(bytestring=page.encode())))
    document.add_metadata({"/Title": title, "/Producer": "HummingFace"})
    with Path(path).open("wb") as file:
        document.write(file)


def engrave(arranged: Arranged, title: str = "", *, in_pages: bool = True) -> list[str]:
    """Engrave a score: one SVG document a page, which needs no font but one for words.

    Parameters
    ----------
    arranged : Arranged
    title : str
    in_pages : bool
        Pages of A4, or one page as high as the music.

    Raises
    ------
    MusicXMLError
        If verovio or music21 is not installed.
    """
    return engrave_document(to_musicxml(arranged, title).decode(), in_pages=in_pages)


def engrave_document(
    document: str, *, in_pages: bool = True, width: int = PAGE[0], scale: float = SCALE, margin: int = MARGIN
) -> list[str]:
    """Engrave a MusicXML document, as :func:`engrave` does; the ids of its notes are those of the pictures' groups.

    Parameters
    ----------
    document : str
    in_pages : bool
    width, margin : int
        Of a page, in units that are ``scale`` pixels of the picture.
    scale : float
        Of verovio's size.

    Raises
    ------
    MusicXMLError
        If verovio is not installed.
    """
    if find_spec("verovio") is None:
        raise _missing()
    import verovio

    # verovio sets the path of its fonts where it is imported, and for that thread alone.
    toolkit = verovio.toolkit(False)
    toolkit.setResourcePath(str(files("verovio") / "data"))
    toolkit.setOptions(
        {
            "scale": round(100 * scale),
            "pageWidth": width,
            "pageHeight": PAGE[1] if in_pages else TALLEST,
            "adjustPageHeight": not in_pages,
            "pageMarginLeft": margin,
            "pageMarginRight": margin,
            "pageMarginTop": margin,
            "pageMarginBottom": margin,
            "footer": "none",
            "font": FONT,
            "smuflTextFont": "none",
            "lyricWordSpace": LYRIC_SPACE,
        }
    )
    toolkit.loadData(document)
    return [_with_outlines(toolkit.renderToSVG(number + 1)) for number in range(toolkit.getPageCount())]


def _missing() -> MusicXMLError:
    return MusicXMLError("SVG and PDF scores need verovio, which is not installed: pip install 'hummingface[engrave]'")


def _with_outlines(picture: str) -> str:
    """Draw the note of the tempo mark, a letter of a music font that few programs have, as an outline, and lift it."""
    for prefix, uri in (("", SVG[1:-1]), ("xlink", "http://www.w3.org/1999/xlink")):
        ElementTree.register_namespace(prefix, uri)
    root = ElementTree.fromstring(picture)
    for group in root.iter(f"{SVG}g"):
        lift = TEMPO_LIFT if group.get("class") == "tempo" else 0
        for text in group.findall(f"{SVG}text"):
            letters = [span for span in text.iter(f"{SVG}tspan") if span.get("font-family") == FONT]
            x, y = float(text.get("x", "0")), float(text.get("y", "0")) - lift
            text.set("y", f"{y:g}")
            for letter in letters:
                if (letter.text or "").strip() in SIGNS:
                    _write_sign(letter, text)
                    continue
                size = float(letter.get("font-size", "0px").removesuffix("px")) / 1000.0
                for character in (letter.text or "").strip():
                    outline, advance = _glyph(f"{ord(character):04X}")
                    place = {"transform": f"translate({x:g}, {y:g}) scale({size:g}, {-size:g})", "d": outline}
                    ElementTree.SubElement(group, f"{SVG}path", place)
                    x += advance * size
                letter.text = ""
            if letters:
                text.set("x", f"{x:g}")
    return ElementTree.tostring(root, encoding="unicode")


def _write_sign(letter: Element, text: Element) -> None:
    """Write an accidental with the font and the size of the words around it."""
    letter.text = SIGNS[(letter.text or "").strip()]
    del letter.attrib["font-family"]
    sizes = [span.get("font-size", "") for span in text.iter(f"{SVG}tspan") if span is not letter]
    letter.set("font-size", next(filter(None, sizes), letter.get("font-size", "")))


@cache
def _glyph(code: str) -> tuple[str, float]:
    """Read the outline of a character of the music font, and its width in thousandths of the font size."""
    folder = files("verovio") / "data"
    path = ElementTree.fromstring((folder / FONT / f"{code}.xml").read_text(encoding="utf-8")).find("path")
    metrics = ElementTree.fromstring((folder / f"{FONT}.xml").read_text(encoding="utf-8"))
    width = next(float(glyph.get("h-a-x", "0")) for glyph in metrics.iter("g") if glyph.get("c") == code)
    return "" if path is None else path.get("d", ""), width
