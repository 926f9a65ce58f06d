"""Run a benchmark: ``python -m bench COMMAND``."""

from __future__ import annotations

import argparse
import importlib
import sys
from types import ModuleType
from typing import Any

PACKAGES: dict[str, dict[str, str]] = {
    "transcription": {
        "accuracy": "scores, errors and confidences of transcribers on recordings (reports/transcriber)",
        "folds": "train the models of the cross-validation that accuracy measures",
        "leaderboard": "this program, peers and systems of yours on the same recordings (reports/leaderboard.md)",
        "noise": "notes transcribed where there are none (reports/transcriber/noise.md)",
        "live": "latency and errors of provisional notes while one sings (reports/live.md); --fit tries thresholds",
        "voices": "whistling, the lowest and highest voices, slurred notes (reports/voices.md)",
        "audit": "faults of note labels that the audit finds (reports/audit.md)",
    },
    "training": {
        "direct": "the network from spectrogram to spectrogram, trained in earnest (reports/direct.md)",
        "finetune": "five minutes of one singer: gain, and loss elsewhere (reports/transcriber/finetuning.md)",
    },
    "songs": {
        "songs": "notes transcribed from songs, with and without the separator, beside peers (reports/songs.md)",
        "separation": "the separator beside the original, and the decision voice or song; --fit writes weights",
        "band": "beats, bars and chords of accompaniments beside librosa (reports/band.md); --fit writes weights",
    },
    "music": {
        "music": "tempo, beats, key, meant keys, simplifying, repetitions, chords (reports/music.md); --fit writes",
        "accompaniment": "bands, chords and left hands for melodies (reports/accompaniment.md); --fit writes weights",
        "scores": "scores read by music21, verovio and MuseScore: bars, metres, rests (reports/music.md)",
    },
    "sound": {
        "piano": "distances of the pianos from the reference, and their cost (reports/piano)",
        "concert": "the concert grand beside its recordings",
        "singer": "speed of the singing synthesizer",
        "lyrics": "notes and words of lyrics that the program sings, and its speed",
        "analysis": "genre of made songs, popularity in a table: what `analyse` is worth",
        "wishes": "words, instruments, genre, the band and the grand in one report (reports/wishes.md)",
        "listen": "write a page for a blind comparison of the pianos, or summarize its results",
        "instruments": "which instrument is this: sounds never trained on",
    },
    "reliability": {
        "fuzz": "damaged files of all kinds, and whether the program keeps its promises on each",
        "environments": "what the program says on full disks, in read-only folders, without a home, ...",
        "damage": "single flipped bits in every kind of file that is read back",
        "kill": "SIGKILL at random moments of every command, and what it leaves",
        "attack": "hostile requests of every kind against the page",
        "soak": "the page under a steady load for hours",
        "reliability": "all of what was attacked, mutated, killed and kept running (reports/reliability.md)",
        "advisories": "known vulnerabilities of the pinned versions, from a downloaded database",
    },
    "speed": {
        "cost": "speed and memory of transcribing, compared with peers (reports/transcriber/cost.md)",
        "install": "size and time of an installation; start-up, batch and memory of the program (reports/install.md)",
        "page": "time of the page in a browser",
        "container": "size of the page's image, and a conversion on a read-only root (reports/container.md)",
        "stages": "cost of the data stages (reports/data_stages.md)",
    },
}
"""The commands of each package, and what they show."""

COMMANDS = {name: text for commands in PACKAGES.values() for name, text in commands.items()}


def load(command: str) -> ModuleType:
    """Import the module of a command."""
    package = next(package for package, commands in PACKAGES.items() if command in commands)
    return importlib.import_module(f"bench.{package}.{command}")


def main() -> None:
    """Run the command that was given; each module has its own options."""
    parser = argparse.ArgumentParser(prog="python -m bench", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.epilog = "\n".join(f"  {name:14}{text}" for name, text in COMMANDS.items())
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of:")
    command = parser.parse_args(sys.argv[1:2]).command
    module: Any = load(command)
    parser = argparse.ArgumentParser(prog=f"python -m bench {command}", description=module.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    module.add_arguments(parser)
    module.run(parser.parse_args(sys.argv[2:]))


if __name__ == "__main__":
    main()
