"""`hummingface audit-labels`: whether note labels fit their recordings."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from hf_model.cli.messages import FAILED, print_message

DESCRIPTION = """\
Compare the note labels of a folder with its recordings, and report wrong octaves, transpositions, constant shifts in
time, missing notes, and notes of another pitch. Each recording has its labels beside it, under the same name.
"""

EXAMPLES = """\
examples:
  hummingface audit-labels songs                    <name>.wav with <name>.csv: onset, offset, pitch
  hummingface audit-labels songs --labels textgrid  labels of Praat
  hummingface audit-labels songs --json             with the times of all doubtful notes

exit code: 0 all fit, 1 something was found or cannot be read, 2 wrong usage, 130 interrupted
"""

KINDS = ("csv", "txt", "mid", "textgrid", "lab")


def add_audit_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="recordings with their labels")
    parser.add_argument("--labels", choices=KINDS, default="csv", help="format of the labels (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from hf_model.alignment.labels.audit import audit_recordings, describe
    from hf_model.audio.reader import AudioError
    from hf_model.corpora.label_files import read_labels
    from hf_model.corpora.own import label_file, recordings
    from hf_model.corpora.records import CorpusError

    folder: Path = arguments.folder
    items, problems = [], 0
    try:
        sounds = recordings(folder, arguments.labels)
    except (CorpusError, OSError) as error:
        print_message(str(error))
        return FAILED
    for path in sounds:
        try:
            labels = read_labels(label_file(path, arguments.labels))
            items.append((path.relative_to(folder).as_posix(), path, labels))
        except (CorpusError, OSError) as error:
            print_message(str(error))
            problems += 1
    try:
        found = audit_recordings(items)
    except (AudioError, OSError) as error:
        print_message(str(error))
        return FAILED
    text = json.dumps([asdict(one) for one in found], indent=1) if arguments.json else "\n".join(describe(found))
    sys.stdout.write(f"{text}\n")
    return int(problems > 0 or any(one.faults for one in found))
