"""Lyrics sung on melodies: the notes that the transcriber finds, the words that a recognizer finds, and the speed.

The recognizer is pocketsphinx with its own acoustic model of English speech, and a grammar of the twenty lines. A line
counts as recognized if at least its first three words are returned and no word of another line. The melody and the
lines are in the public domain.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import mir_eval
import numpy as np
import soxr
from numpy.typing import NDArray

from bench.sound.figure import Figure, mean_interval
from hf_model.inference import transcribe
from hf_model.lyrics.singing import SungMelody, sing_lyrics
from hf_model.lyrics.text import divide
from hf_model.lyrics.voices import PRESETS
from hf_model.notes.note import Note, to_arrays

LINES = (
    "twinkle twinkle little star how I wonder what you are",
    "mary had a little lamb its fleece was white as snow",
    "amazing grace how sweet the sound that saved a wretch like me",
    "row row row your boat gently down the stream",
    "should old acquaintance be forgot and never brought to mind",
    "oh when the saints go marching in oh when the saints go marching in",
    "london bridge is falling down falling down falling down",
    "silent night holy night all is calm all is bright",
    "home on the range where the deer and the antelope play",
    "my bonnie lies over the ocean my bonnie lies over the sea",
    "jingle bells jingle bells jingle all the way",
    "joy to the world the lord is come let earth receive her king",
    "are you sleeping are you sleeping brother john brother john",
    "oh my darling oh my darling oh my darling clementine",
    "she will be coming round the mountain when she comes",
    "yankee doodle went to town riding on a pony",
    "three blind mice three blind mice see how they run",
    "hush little baby do not say a word",
    "the water is wide I cannot get over",
    "swing low sweet chariot coming for to carry me home",
)

STEPS = (0, 0, 7, 7, 9, 9, 7, 5, 5, 4, 4, 2, 2, 0, 4, 5)
"""Semitones of the melody that all lines are sung on, so that only the words differ."""

SPEECH_RATE = 16000

FEWEST_WORDS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--seconds-a-note", type=float, default=0.45)
    parser.add_argument("--recognize", nargs="*", default=["alto", "tenor"], help="voices whose words are recognized")


class Measured(NamedTuple):
    """What came of all lines of one voice."""

    onsets: list[float]
    pitches: list[float]
    n_words: list[int]
    speed: float


def run(arguments: argparse.Namespace) -> list[Figure]:
    """Print a table with a row a voice."""
    print("| voice | COn | COnP | lines recognized of 20 | words recognized | times real time |")
    print("|---|---|---|---|---|---|")
    voices = {}
    for voice in PRESETS:
        voices[voice] = _measure(voice, arguments.seconds_a_note, recognize=voice in arguments.recognize)
        print(f"| {voice} | {_row(voices[voice])} |", flush=True)
    notes = [score for one in voices.values() for score in one.pitches]
    lines = [n >= FEWEST_WORDS for one in voices.values() for n in one.n_words]
    return [
        Figure(f"notes of the words sung, COnP, {len(voices)} voices", mean_interval(notes), target="≥ .95"),
        Figure(
            "lines that a recognizer of speech finds", mean_interval(lines, 2), f"chance {1 / len(LINES):.2f}", "", ""
        ),
        Figure(
            "speed of the slowest voice, times real time",
            f"{min(one.speed for one in voices.values()):.0f}",
            "",
            "",
            "≥ 20",
        ),
    ]


def _row(one: Measured) -> str:
    words = "- | -"
    if one.n_words:
        all_words = sum(len(line.split()) for line in LINES)
        words = f"{sum(n >= FEWEST_WORDS for n in one.n_words)} | {sum(one.n_words) / all_words:.2f}"
    return f"{np.mean(one.onsets):.3f} | {np.mean(one.pitches):.3f} | {words} | {one.speed:.0f}"


def _measure(voice: str, length: float, *, recognize: bool) -> Measured:
    songs, clock, seconds = [], 0.0, 0.0
    for line in LINES:
        notes = melody(len(divide(line)), length)
        n_samples = round((notes[-1].offset + 0.5) * 44100)
        begin = time.process_time()
        songs.append(sing_lyrics(notes, line, n_samples, voice=voice))
        clock, seconds = clock + time.process_time() - begin, seconds + n_samples / 44100
    onsets, pitches = zip(*(_note_scores(song) for song in songs), strict=True)
    words = recognized_words([song.audio for song in songs]) if recognize else []
    return Measured(list(onsets), list(pitches), words, seconds / clock)


def melody(n_notes: int, length: float) -> list[Note]:
    """Repeat the melody until it has that many notes, with a rest of half a second before it."""
    steps = [STEPS[index % len(STEPS)] for index in range(n_notes)]
    return [Note(0.5 + i * length, 0.5 + (i + 1) * length, 60.0 + step) for i, step in enumerate(steps)]


def _note_scores(song: SungMelody) -> tuple[float, float]:
    expected, found = to_arrays(song.notes), to_arrays(transcribe(song.audio, 44100, source="voice"))
    hz = [440.0 * 2.0 ** ((pitches - 69.0) / 12.0) for _, pitches in (expected, found)]
    onset = mir_eval.transcription.onset_precision_recall_f1(expected[0], found[0])[2]
    both = mir_eval.transcription.precision_recall_f1_overlap(expected[0], hz[0], found[0], hz[1], offset_ratio=None)[2]
    return float(onset), float(both)


def as_speech(audio: NDArray[np.float32]) -> bytes:
    """Convert to 16-bit samples at the rate of the recognizer."""
    samples: NDArray[np.int16] = (soxr.resample(audio, 44100, SPEECH_RATE) * 32767).astype("<i2")
    return samples.tobytes()


def recognized_words(songs: Sequence[NDArray[np.float32]]) -> list[int]:
    """Count the first words of each line that are returned for its song; 0 if any other word is."""
    from pocketsphinx import Decoder

    texts = [line.lower() for line in LINES]
    grammar = f"#JSGF V1.0;\ngrammar lines;\npublic <line> = {' | '.join(texts)} ;\n"
    decoder: Any = Decoder(samprate=SPEECH_RATE, loglevel="FATAL", lm=None, beam=1e-80, pbeam=1e-80, wbeam=1e-60)
    decoder.add_jsgf_string("lines", grammar)
    decoder.activate_search("lines")
    counts = []
    for audio, text in zip(songs, texts, strict=True):
        decoder.start_utt()
        decoder.process_raw(as_speech(audio), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        words = [] if found is None else found.hypstr.split()
        counts.append(len(words) if words == text.split()[: len(words)] else 0)
    return counts
