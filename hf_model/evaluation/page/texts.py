"""The words of the evaluation's page, for readers who do not know the terms of the field, and its style."""

from __future__ import annotations

from hf_model.evaluation.evaluate import OURS

SYSTEMS = {OURS: "HummingFace", "pyin": "pYIN (librosa)", "swift_f0": "swift-f0", "basic_pitch": "basic-pitch"}

NOTE_WORDS = {"con": "beginning", "conp": "and pitch", "conpoff": "and end"}

SOUND_WORDS = {
    "sampled": "sampled piano",
    "neural": "neural piano",
    "direct": "direct network",
    "labels": "neural piano, playing the correct notes",
    "reference": "reference piano",
    "voice": "voice",
}

INTRODUCTION = """
A sung melody is transcribed to notes, and the notes are played on a piano. Measured here are recordings that were not
used for training. Each figure is a mean over recordings; the small figures under it are the range in which the mean
lies with 95&nbsp;% probability if other recordings of the same kind were drawn.
"""

NOTES = """
Scores from 0 (nothing is right) to 1 (every note is found, and no other). A note counts if it <em>begins</em> within 50
thousandths of a second of the right moment; if its <em>pitch</em> is right as well, within a quarter tone; and if its
<em>end</em> is right as well, within a fifth of its length. In papers the three are called COn, COnP and COnPOff.
"""

SOUND = """
Distances between the piano that is played and a reference piano that plays the correct notes: <em>loudness</em> is the
mean difference over all frequencies and moments in decibels (0 is equal); <em>spectrum</em> is the difference as a
share of the reference (0 is equal, 1 is what silence gets). <em>Notes recovered</em>: another program, which knows
nothing of this one, transcribes the piano; 1 means that it finds all notes that were to be played, and no other. The
<em>direct network</em> is the first idea of the project: from spectrogram to spectrogram, without notes between them.
"""

LISTEN = "In the pictures the voice is blue and the piano orange."

NO_VOICE = "The recording of the singer is not on this page."

CITE = """
The software itself: <code>CITATION.cff</code>. Every figure with more digits: <code>metrics.json</code>; each
recording: <code>recordings.csv</code>.
"""

STYLE = """
:root{color-scheme:light dark;--line:#c9cbd6;--soft:#5c6072}
@media(prefers-color-scheme:dark){:root{--line:#3a3f55;--soft:#9aa0b8}body{background:#0f111c;color:#d6daea}}
body{font:16px/1.55 system-ui,sans-serif;max-width:62rem;margin:0 auto;padding:1.2rem 1rem 3rem}
h1{font-size:1.6rem;line-height:1.2;margin:.4rem 0}h2{font-size:1.2rem;margin:2rem 0 .4rem}h3{font-size:1.02rem}
p{max-width:42rem;overflow-wrap:break-word}.soft{color:var(--soft);font-size:.92rem}code{overflow-wrap:anywhere}
.scroll{overflow-x:auto}table{border-collapse:collapse;margin:.6rem 0;font-variant-numeric:tabular-nums}
th,td{border-bottom:1px solid var(--line);padding:.35rem .9rem .35rem 0;text-align:right;vertical-align:top}
th{font-weight:600;font-size:.9rem}td:first-child,th:first-child,.text td,.text th{text-align:left}
small{display:block;color:var(--soft);white-space:nowrap}.text small{white-space:normal}
img{max-width:100%;height:auto;display:block;margin:.8rem 0}
section{border-top:1px solid var(--line);padding-top:.2rem;margin-top:1rem}section h2{font-size:1.02rem;margin:.6rem 0}
@media(max-width:30rem){th,td{padding-right:.55rem}th{font-size:.82rem}small{font-size:.74rem}}
.sounds{display:flex;flex-wrap:wrap;gap:.8rem}figure{margin:0;flex:1 1 15rem}audio{width:100%}
"""
