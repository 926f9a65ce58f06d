"""Options of the output files."""

from __future__ import annotations

import argparse

# Repeated from hf_model.export, which would import NumPy; a test compares them.
TEMPO_MAPS = ("performed", "constant")

OUTPUTS = {
    "csv": "a table of the notes",
    "musicxml": "a score (needs hummingface[score])",
    "pdf": "an engraved score on pages (needs hummingface[engrave])",
    "svg": "an engraved score as one picture (needs hummingface[engrave])",
    "plot": "a picture of the notes over the spectrogram (needs hummingface[plot])",
    "structure": "a picture of the repeated phrases (needs hummingface[plot])",
    "labels": "a label track for Audacity",
    "pitch_curve": "the pitch of the voice every 10 ms: time in seconds, frequency in Hz, voicing from 0 to 1 (csv)",
    "bend": "MIDI with the glides and the vibrato of the voice, as pitch bends of two semitones either way",
    "ultrastar": "a song for UltraStar and other karaoke programs",
    "ustx": "a project for OpenUtau, with the pitch of the voice",
    "jams": "notes, beats, tempo and key as a JAMS document",
}
"""The optional outputs, each with what its option says."""


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add what is written besides wav and MIDI: see :func:`outputs_from`."""
    group = parser.add_argument_group("outputs", "besides INPUT_piano.wav and INPUT_piano.mid")
    group.add_argument("--no-audio", action="store_true", help="do not play the piano: no wav, only the other outputs")
    for kind, what in OUTPUTS.items():
        group.add_argument(f"--{kind.replace('_', '-')}", action="store_true", help=what)
    tempo_help = "tempo of the MIDI files: performed, following the voice; constant, one for all (%(default)s)"
    group.add_argument("--tempo-map", choices=TEMPO_MAPS, default=TEMPO_MAPS[0], help=tempo_help)


def outputs_from(arguments: argparse.Namespace) -> tuple[str, ...]:
    """List the kinds of outputs of a command line, as :class:`hf_model.export.outputs.Conversion` names them.

    Raises
    ------
    ValueError
        For a cover without audio.
    """
    cover = arguments.backing == "keep"
    if arguments.no_audio and cover:
        msg = "--no-audio plays no piano, which the cover needs: leave out one of --no-audio and --backing keep"
        raise ValueError(msg)
    chosen = {"wav": not arguments.no_audio, "midi": True} | {kind: getattr(arguments, kind) for kind in OUTPUTS}
    chosen |= {"cover": cover, "voice": arguments.voice}
    return tuple(kind for kind, is_wanted in chosen.items() if is_wanted)
