"""The options of the command line for arrangement and sound, and the presets."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_model.music.arrangement import Arrangement
    from hf_model.piano.performance import Performance

# Repeated from hf_model.music, hf_model.piano and hf_model.lyrics, which would import NumPy; tests compare them.
QUANTIZE = ("off", "1/4", "1/8", "1/16", "1/8t", "1/16t")
SWINGS = ("keep", "straighten")
KEYS = ("meant", "sung")
ENSEMBLES = ("piano", "band")
STYLES = ("plain", "waltz", "ballad", "arpeggio", "swing", "staccato")
SOURCES = ("auto", "voice", "song", "whistle")
METERS = ("2/4", "3/4", "4/4", "6/8", "9/8", "12/8")
SLOWEST, FASTEST, MIN_NOTE = 30, 300, 0.05
SOUNDS = ("sampled", "concert", "neural", "reference", "voice")
TEMPO_MAPS = ("performed", "constant")
VOICES = ("soprano", "alto", "tenor", "bass", "child", "robot")
LANGUAGES = ("en", "pt")

PRESETS: dict[str, dict[str, Any]] = {
    "performer": {},
    "score": {"simplify": 1, "quantize": "1/16", "min_note": 0.08, "legato": True},
    "beginner": {"simplify": 3, "quantize": "1/8", "snap_key": True, "min_note": 0.1, "legato": True},
}
"""Settings of each preset; other options override them."""

PRESET_HELP = (
    "performer: as sung (default); score: quantized to 1/16, legato, without ornaments; "
    "beginner: quantized to 1/8, legato, in key, simplified for one hand; other options override the preset"
)


def add_arrangement_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of :class:`hf_model.music.arrangement.Arrangement`; those not given are not in the namespace."""
    parser.set_defaults(preset="performer")
    parser.add_argument("--preset", choices=tuple(PRESETS), help=PRESET_HELP)

    add = _group(parser, "notes")
    add("--min-note", type=number(float, 0, 10), metavar="SECONDS", help=f"leave out shorter notes ({MIN_NOTE})")
    add("--min-confidence", type=number(float, 0, 1), metavar="0-1", help="leave out notes with less confidence (0)")
    add("--simplify", type=int, choices=range(4), help="1: no ornaments; 2: eighths; 3: five-finger position (0: off)")
    add("--agree-repeats", action="store_true", help="correct the notes of repeated phrases by majority vote")
    accompany_help = (
        "add chords in the left hand (piano, also without a word), or bass, drums, chords and a second voice"
    )
    add("--accompany", dest="ensemble", nargs="?", const=ENSEMBLES[0], choices=ENSEMBLES, help=accompany_help)
    add("--style", choices=STYLES, help="what the left hand plays, or the band's chords; adds a left hand (plain)")

    add = _group(parser, "rhythm")
    add("--tempo", type=number(float, SLOWEST, FASTEST), metavar="BPM", help="tempo in bpm (estimated)")
    add("--meter", choices=METERS, help="time signature (estimated)")
    add("--downbeat", type=number(float, 0, 36000), metavar="SECONDS", help="time at which a bar begins (estimated)")
    add("--pickup", type=number(float, 0, 12), metavar="BEATS", help="beats before the first bar line (estimated)")
    add("--quantize", choices=QUANTIZE, help="snap notes to a grid; t: triplets (off)")
    add("--strength", type=number(float, 0, 1), metavar="0-1", help="quantize strength; 1 is exactly on the grid (1)")
    add("--swing", choices=SWINGS, help="swung eighths when quantizing: keep or straighten (keep)")
    add("--legato", action="store_true", help="extend each note to the next one if the gap is short")

    add = _group(parser, "pitch")
    add("--transpose", type=number(int, -48, 48), metavar="SEMITONES", help="12 is an octave up (0)")
    cents = number(float, -100, 100)
    add("--tuning", type=cents, metavar="CENTS", help="tuning of the voice relative to A = 440 Hz (estimated)")
    keys_help = "piano keys: meant, also if the singer is out of tune or sinks; or sung, those nearest (meant)"
    add("--keys", choices=KEYS, help=keys_help)
    add("--key", metavar="KEY", help="key of the singing, such as 'A minor' (estimated)")
    add("--snap-key", action="store_true", help="move notes outside the key into it, by at most half a semitone")


def with_ensemble(arguments: Sequence[str]) -> list[str]:
    """Write out what ``--accompany`` alone means: argparse would take the file after it for its value."""
    found: list[str] = []
    for place, word in enumerate(arguments):
        if word == "--":
            return [*found, *arguments[place:]]
        is_alone = word == "--accompany" and (*arguments, "")[place + 1] not in ENSEMBLES
        found.append(f"--accompany={ENSEMBLES[0]}" if is_alone else word)
    return found


def arrangement_from(arguments: argparse.Namespace) -> Arrangement:
    """Make the arrangement of a command line: options override the preset, which overrides the defaults.

    Raises
    ------
    ConfigError
        For a key that does not exist.
    """
    from hf_model.music.arrangement import Arrangement

    given = {field.name: getattr(arguments, field.name) for field in fields(Arrangement) if field.name in arguments}
    if {"style", "ensemble"} & set(given):
        given["accompany"] = True
    return Arrangement(**(PRESETS[arguments.preset] | given))


def add_sing_options(parser: argparse.ArgumentParser) -> None:
    """Add what words are sung, and by whom."""
    add = parser.add_argument
    add("melody", type=Path, metavar="MELODY", help="a recording, a MIDI file, a MusicXML score or a table of notes")
    add("--lyrics", default="", metavar="TEXT|FILE", help="the words, or a file.txt of them (those of the score)")
    add("--voice", default="alto", choices=VOICES, help="who sings (%(default)s)")
    add("--language", default="en", choices=LANGUAGES, help="how the words are pronounced (%(default)s)")
    add("--piano", action="store_true", help="the piano plays the melody along")
    add("-o", "--out", type=Path, metavar="OUT.wav", help="output file (MELODY_sung.wav)")
    add("--overwrite", action="store_true", help="replace an existing output")


def add_practice_options(parser: argparse.ArgumentParser) -> None:
    """Add what is compared, and what is written."""
    add = parser.add_argument
    add("take", type=Path, metavar="TAKE", help="a recording of one voice, or a song")
    add("score", type=Path, metavar="SCORE", help="what was meant: MIDI, MusicXML, or a table of notes (csv)")
    add("--tuning", type=number(float, -100, 100), metavar="CENTS", help="measure from this tuning (the singer's own)")
    add("--source", default="auto", choices=SOURCES, help="what the take is (%(default)s)")
    add("--csv", type=Path, metavar="FILE", help="write a table of the notes")
    add("--picture", type=Path, metavar="FILE.png", help="write a picture (needs hummingface[plot])")
    add("--overwrite", action="store_true", help="replace existing outputs")


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


def add_song_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for songs, and for parts of a recording (:func:`part_from`)."""
    add = parser.add_argument_group("songs").add_argument
    source_help = (
        "voice: a voice alone; song: separate the voice first; whistle: whistling, or a voice above 1.3 kHz; "
        "auto: decide from the audio (%(default)s)"
    )
    add("--source", choices=SOURCES, default="auto", help=source_help)
    separator_help = "default; none; demucs, if installed; or the folder of a separator (default)"
    add("--separator", metavar="NAME", help=separator_help)
    add("--start", type=clock, default=0.0, metavar="TIME", help="convert from here on: seconds (65) or m:ss (1:05)")
    add("--end", type=clock, metavar="TIME", help="convert up to here; times in the outputs count from --start")
    backing_help = "keep: also write the song with the piano in the singer's place, INPUT_cover.wav (%(default)s)"
    add("--backing", choices=("drop", "keep"), default="drop", help=backing_help)
    add("--voice", action="store_true", help="also write the separated voice, INPUT_voice.wav")


def part_from(arguments: argparse.Namespace) -> tuple[float, float | None]:
    """Give the start and the end of the part to convert, in seconds.

    Raises
    ------
    ValueError
        If the end is not after the start, or if the separator "none" is to make a cover or a voice.
    """
    if arguments.separator == "none" and (arguments.voice or arguments.backing == "keep"):
        msg = "--separator none separates nothing: leave out --backing keep and --voice"
        raise ValueError(msg)
    if arguments.end is not None and arguments.end <= arguments.start:
        from hf_model.audio.clock import format_clock

        msg = f"--end {format_clock(arguments.end)} is not after --start {format_clock(arguments.start)}"
        raise ValueError(msg)
    return arguments.start, arguments.end


def clock(text: str) -> float:
    """Read a time: an argparse type."""
    from hf_model.audio.clock import parse_clock

    try:
        return parse_clock(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def ignored_options(arguments: argparse.Namespace, given: Sequence[str]) -> list[str]:
    """List the options of a command line that change nothing, each with the reason.

    Parameters
    ----------
    arguments : argparse.Namespace
    given : sequence of str
        The words of the command line.
    """
    words = {word.split("=")[0] for word in given if word.startswith("--")}

    def value(name: str) -> Any:
        return getattr(arguments, name, None)

    preset = PRESETS.get(value("preset") or "performer", {})
    is_song = value("source") in {None, "auto", "song"}
    reasons = {
        "without --quantize": ("quantize" in arguments or "quantize" in preset, ("--strength", "--swing")),
        "without --sound reference": (value("sound") == "reference", ("--sound-font",)),
        "with --no-audio": (not value("no_audio"), ("--sound", "--reverb", "--normalize", "--mono")),
        f"with --source {value('source')}": (is_song, ("--separator",)),
        "without --midi-out": (value("midi_out"), ("--transpose", "--bend") if "midi_out" in arguments else ()),
        "without --record": (value("record"), ("--overwrite",) if "record" in arguments else ()),
        "without --input FILE": (value("input"), ("--fast",)),
    }
    return [
        f"{option} has no effect {reason}"
        for reason, (has_effect, options) in reasons.items()
        for option in options
        if option in words and not has_effect
    ]


def add_sound_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for :func:`performance_from`, and ``--sound-font``."""
    add = parser.add_argument_group("sound").add_argument
    sound_help = (
        "sampled: a grand piano (default); concert: a larger one, a Yamaha C5; neural: a network; "
        "reference: FluidSynth, for comparison; voice: a synthetic voice sings la (needs hummingface[lyrics]); "
        "neural and voice have one channel"
    )
    add("--sound", choices=SOUNDS, default="sampled", help=sound_help)
    add("--sound-font", type=Path, metavar="PATH", help="another sound font for --sound reference")
    add("--pedal", action="store_true", help="add sustain pedal in legato phrases")
    reverb_help = "amount of reverb (%(default)g); 0.3 sounds like a room"
    add("--reverb", type=number(float, 0, 1), default=0.0, metavar="0-1", help=reverb_help)
    normalize_help = "on (default): -16 LUFS, true peak below -1 dB; off: the original level of the piano"
    add("--normalize", choices=("on", "off"), default="on", help=normalize_help)
    add("--mono", action="store_true", help="one channel instead of two")


def performance_from(arguments: argparse.Namespace) -> Performance:
    """Make the performance of a command line."""
    from hf_model.piano.performance import Performance

    return Performance(
        sound=arguments.sound,
        pedal=arguments.pedal,
        normalize=arguments.normalize == "on",
        reverb=arguments.reverb,
        mono=arguments.mono,
    )


def number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """Make an argparse type for numbers from ``low`` to ``high``."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            what = "a whole number" if kind is int else "a number"
            msg = f"{text!r} is not allowed, expected {what} from {low:g} to {high:g}"
            raise argparse.ArgumentTypeError(msg)
        return value

    return parse


def add_live_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of live."""
    add = parser.add_argument
    add("--input", default="", metavar="DEVICE|FILE", help="a microphone (number or part of its name), or a file")
    add("--fast", action="store_true", help="take a file as fast as it can be transcribed")
    add("--list-devices", action="store_true", help="list microphones and MIDI ports, and end")
    add("--seconds", type=number(float, 0.1, 7200), default=7200.0, metavar="S", help="end after S seconds")
    add("--midi-out", default="", metavar="PORT|virtual", help="play along on a MIDI port (part of its name)")
    add("--bend", action="store_true", help="begin each note of the MIDI port at the pitch of the voice (bend +-2)")
    add("--transpose", type=number(int, -48, 48), default=0, metavar="N", help="semitones, of the MIDI port")
    add("--record", type=Path, metavar="NAME", help="at the end, write NAME.wav, NAME_piano.wav and NAME_piano.mid")
    add("--overwrite", action="store_true", help="replace existing outputs")
    add("--plain", action="store_true", help="print a line an event instead of drawing a piano roll")


def _group(parser: argparse.ArgumentParser, title: str) -> Callable[..., argparse.Action]:
    group = parser.add_argument_group(title)

    def add(name: str, **settings: Any) -> argparse.Action:
        return group.add_argument(name, default=argparse.SUPPRESS, **settings)

    return add
