"""The page of an evaluation, to read on any screen and to cite: one HTML file without others."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hf_model.evaluation.evaluate import OURS, EvaluateSettings, Measured, summarize
from hf_model.evaluation.page import texts
from hf_model.evaluation.page.sounds import Example, html_of, html_of_picture


@dataclass(frozen=True)
class Origin:
    """What the figures of an evaluation come from.

    Attributes
    ----------
    date, commit : str
        Of the code; empty where they are not known.
    profile : str
        Of params.yaml.
    corpora : mapping of str to mapping
        ``title``, ``licence``, ``citation`` and ``homepage`` of each corpus.
    """

    date: str = ""
    commit: str = ""
    profile: str = "default"
    corpora: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def write_page(
    path: Path,
    measured: Sequence[Measured],
    settings: EvaluateSettings,
    pictures: Path,
    origin: Origin,
    examples: Sequence[Example] = (),
) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
    measured : sequence of Measured
        Of :func:`hf_model.evaluation.evaluate.measure_all`.
    settings : EvaluateSettings
    pictures : Path
        Folder of :func:`hf_model.evaluation.report.draw_pictures`.
    origin : Origin
    examples : sequence of Example
        Recordings to listen to; real voices get no player, since the page is kept under version control.
    """
    report = summarize(measured, settings)
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>HummingFace: evaluation</title><style>{texts.STYLE}</style>",
        "<h1>How right HummingFace is</h1>",
        f"<p class=soft>{_origin_line(origin)}</p>",
        f"<p>{texts.INTRODUCTION}</p>",
        *_notes(measured, report, settings),
        *_sounds(report),
        *_listening(examples),
        *(html_of_picture(one, one.stem.replace("_", " ")) for one in sorted(pictures.glob("errors.png"))),
        *_corpora(measured, origin),
        *_citation(origin),
    ]
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def same_recordings(measured: Sequence[Measured]) -> list[Measured]:
    """Choose the recordings that every system of their corpus transcribed."""
    systems: dict[str, set[str]] = {}
    for one in measured:
        systems.setdefault(one.item.corpus, set()).update(one.scores)
    return [one for one in measured if one.scores and set(one.scores) == systems[one.item.corpus]]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table that scrolls sideways where it is too wide; the cells are HTML."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

    return (
        "<div class=scroll><table>" + line(header, "th") + "".join(line(row, "td") for row in rows) + "</table></div>"
    )


def score_cell(figures: Mapping[str, float], name: str, digits: int = 3) -> str:
    """Write a figure with its interval below it, "-" where it is not known."""
    if name not in figures or math.isnan(figures[name]):
        return "-"
    text = f"{figures[name]:.{digits}f}"
    if f"{name}_low" not in figures:
        return text
    return f"{text}<small>{figures[f'{name}_low']:.2f} to {figures[f'{name}_high']:.2f}</small>"


def _origin_line(origin: Origin) -> str:
    date = f"{html.escape(origin.date)}, " if origin.date else ""
    commit = (
        f"code at commit <code>{html.escape(origin.commit[:12])}</code>" if origin.commit else "code without a commit"
    )
    profile = html.escape(origin.profile)
    return f"{date}{commit}, settings of the profile <code>{profile}</code>. Made by <code>make repro</code>."


def _notes(measured: Sequence[Measured], report: Mapping[str, Any], settings: EvaluateSettings) -> list[str]:
    """Write the scores of notes: all systems on the same recordings, then this program on all of them."""
    parts = ["<h2>Notes</h2>", f"<p>{texts.NOTES}</p>"]
    shared = summarize(same_recordings(measured), settings).get("notes", {})
    header = ["", *texts.NOTE_WORDS.values()]
    for corpus, systems in report.get("notes", {}).items():
        parts.append(f"<h3>{html.escape(corpus)}</h3>")
        both = shared.get(corpus, {})
        names = [name for name in both if not name.startswith("ahead_of_")]
        if len(names) > 1:
            n_files = both[OURS]["recordings"]
            parts.append(f"<p>All systems on the same {n_files} recordings:</p>")
            rows = [
                [texts.SYSTEMS.get(name, name), *(score_cell(both[name], one) for one in texts.NOTE_WORDS)]
                for name in names
            ]
            parts.append(table(header, rows))
        parts.append(f"<p>HummingFace on all {systems[OURS]['recordings']} recordings:</p>")
        parts.append(
            table(header, [[texts.SYSTEMS[OURS], *(score_cell(systems[OURS], one) for one in texts.NOTE_WORDS)]])
        )
    return parts


def _sounds(report: Mapping[str, Any]) -> list[str]:
    parts = ["<h2>Sound</h2>", f"<p>{texts.SOUND}</p>"]
    header = ["", "loudness, dB", "spectrum", "notes recovered"]
    names = ("log_mel_distance", "spectral_convergence", "retranscribed_conp")
    for corpus, sounds in report.get("sound", {}).items():
        rows = [
            [
                texts.SOUND_WORDS.get(sound, sound),
                *(score_cell(figures, one, 2 if one == names[0] else 3) for one in names),
            ]
            for sound, figures in sounds.items()
        ]
        parts += [f"<h3>{html.escape(corpus)}</h3>", table(header, rows)]
    return parts


def _listening(examples: Sequence[Example]) -> list[str]:
    if not examples:
        return []
    shown = [one if one.is_synthetic else without_voice(one) for one in examples]
    return ["<h2>Listen</h2>", f"<p>{texts.LISTEN}</p>", *(html_of(one, texts.SOUND_WORDS) for one in shown)]


def without_voice(example: Example) -> Example:
    """Leave out the recording of a real singer, and say so."""
    sounds = {name: path for name, path in example.sounds.items() if name != "voice"}
    return replace(example, sounds=sounds, facts=f"{example.facts} {texts.NO_VOICE}".strip())


def _corpora(measured: Sequence[Measured], origin: Origin) -> list[str]:
    """List the corpora with what was measured of each."""
    rows = []
    for corpus in sorted({one.item.corpus for one in measured}):
        here = [one for one in measured if one.item.corpus == corpus]
        facts = origin.corpora.get(corpus, {})
        title = html.escape(facts.get("title", corpus))
        source = html.escape(", ".join(facts[name] for name in ("citation", "homepage") if facts.get(name)))
        minutes = sum(one.item.n_samples for one in here) / 44100 / 60
        n_notes = sum(len(one.item.notes) for one in here)
        counts = f"{len(here)} recordings, {n_notes} notes, {minutes:.1f} min"
        rows.append(
            [
                f"<b>{html.escape(corpus)}</b>",
                f"{title}<small>{source}</small>",
                html.escape(facts.get("licence", "-")),
                counts,
            ]
        )
    return [
        "<h2>Recordings</h2>",
        table(["", "what", "licence", "measured"], rows).replace("<table>", "<table class=text>"),
    ]


def _citation(origin: Origin) -> list[str]:
    commit = f", commit {origin.commit[:12]}" if origin.commit else ""
    year = f" ({origin.date[:4]})" if origin.date else ""
    text = f"HummingFace contributors{year}. HummingFace: evaluation of the profile {origin.profile}{commit}."
    return ["<h2>To cite</h2>", f"<p>{html.escape(text)}</p>", f"<p>{texts.CITE}</p>"]
