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
    "convert": "time and memory of the program",
    "page": "time of the page in a browser",
    "singer": "speed of the singing synthesizer",
    "stages": "cost of the data stages (reports/data_stages.md)",
}


def main() -> None:
    """Run the command that was given; each module has its own options."""
    parser = argparse.ArgumentParser(prog="python -m bench", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.epilog = "\n".join(f"  {name:10}{text}" for name, text in COMMANDS.items())
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of:")
    command = parser.parse_args(sys.argv[1:2]).command
    module = importlib.import_module(f"bench.{command}")
    parser = argparse.ArgumentParser(prog=f"python -m bench {command}", description=module.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    module.add_arguments(parser)
    module.run(parser.parse_args(sys.argv[2:]))


if __name__ == "__main__":
    main()
