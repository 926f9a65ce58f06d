"""Run a benchmark: ``python -m bench COMMAND``."""

from __future__ import annotations

import argparse
import importlib
import sys

COMMANDS = {
    "accuracy": "scores, errors and confidences of transcribers on recordings (reports/transcriber)",
    "folds": "train the models of the cross-validation that accuracy measures",
    "noise": "notes transcribed where there are none (reports/transcriber/noise.md)",
    "cost": "speed and memory of transcribing, compared with peers (reports/transcriber/cost.md)",
    "piano": "distances of the pianos from the reference, and their cost (reports/piano)",
    "music": "tempo, beats, key, simplifying, repetitions, chords (reports/music.md); --fit writes weights",
    "band": "beats, bars and chords of accompaniments beside librosa (reports/band.md); --fit writes weights",
    "songs": "notes transcribed from songs, with and without the separator, beside peers (reports/songs.md)",
    "fuzz": "damaged files of all kinds, and whether the program keeps its promises on each",
    "environments": "what the program says on full disks, in read-only folders, without a home, ...",
    "separation": "the separator beside the original, and the decision voice or song; --fit writes weights",
    "kill": "SIGKILL at random moments of every command, and what it leaves",
    "damage": "single flipped bits in every kind of file that is read back",
    "attack": "hostile requests of every kind against the page",
    "soak": "the page under a steady load for hours",
    "reliability": "all of what was attacked, mutated, killed and kept running (reports/reliability.md)",
    "convert": "time and memory of the program",
    "page": "time of the page in a browser",
    "singer": "speed of the singing synthesizer",
    "stages": "cost of the data stages (reports/data_stages.md)",
}


def main() -> None:
    """Run the command that was given; each module has its own options."""
    parser = argparse.ArgumentParser(prog="python -m bench", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.epilog = "\n".join(f"  {name:13}{text}" for name, text in COMMANDS.items())
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of:")
    command = parser.parse_args(sys.argv[1:2]).command
    module = importlib.import_module(f"bench.{command}")
    parser = argparse.ArgumentParser(prog=f"python -m bench {command}", description=module.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    module.add_arguments(parser)
    module.run(parser.parse_args(sys.argv[2:]))


if __name__ == "__main__":
    main()
