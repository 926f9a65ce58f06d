"""Your own recordings as a corpus: ``python -m stages.corpus add FOLDER``, then ``dvc exp run -S profile=mine``.

``add`` checks the files, writes an entry to data/corpora.toml, and replaces the entry when it is run again. ``audit``
compares the labels with the recordings.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path

from hf_model.config import ConfigError
from hf_model.corpora.catalogue import CORPORA, REGISTRY
from hf_model.corpora.corpus import Corpus
from hf_model.corpora.own import LABELS, PIANO, digest_files, own_files, register_own
from hf_model.corpora.own import REGISTRY as OWN_REGISTRY
from hf_model.corpora.readers.own import read_own
from hf_model.files import replacing
from stages import _run

HEADER = """\
# Your own corpora, written by `python -m stages.corpus add FOLDER`; hf_model/corpora/corpus.py explains the keys.
"""

EXAMPLES = """\
examples:
  python -m stages.corpus add ~/songs --labels csv          # <name>.wav with <name>.csv: onset, offset, pitch
  python -m stages.corpus add ~/pairs --labels piano        # <name>_voice.wav with <name>_piano.wav
  python -m stages.corpus audit mine                        # do the labels fit the recordings?
  dvc exp run -S profile=mine train@transcriber             # made voices and the corpus "mine"
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.corpus",
        description="Make a folder of recordings a corpus of the pipeline.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="register a folder, or register it again after changes")
    add.add_argument("folder", type=Path)
    add.add_argument(
        "--labels", choices=sorted(LABELS), default="csv", help="what lies beside the recordings (%(default)s)"
    )
    add.add_argument("--name", default="mine", help="name of the corpus (%(default)s)")
    add.add_argument("--licence", default="own", help="licence of the recordings (%(default)s)")
    audit = commands.add_parser("audit", help="compare the labels of a registered corpus with its recordings")
    audit.add_argument("name", nargs="?", default="mine")
    options = parser.parse_args(arguments)
    register_own()
    if options.command == "add":
        _add(options.folder, options.labels, options.name, options.licence)
    else:
        _audit(options.name)


def _add(folder: Path, labels: str, name: str, licence: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ConfigError(f"--name is {name!r}, allowed are small letters, digits and _")
    if name in CORPORA and not CORPORA[name].folder:
        raise ConfigError(f"--name is {name!r}, which is a corpus of {REGISTRY.name}")
    folder = folder.expanduser().resolve()
    files = own_files(folder, labels)
    corpus = Corpus(
        name=name,
        title=f"Recordings of {folder.name}",
        citation="",
        homepage="",
        licence=licence,
        role="voice with notes",
        use="Added by the user.",
        folder=str(folder),
        labels=labels,
        digest=digest_files(folder, files),
    )
    n_notes = 0
    if labels != PIANO:  # read everything once: errors are reported now
        records = list(read_own(corpus, folder))
        n_notes = sum(len(record.notes or record.score or []) for record in records)
    known = {**{key: value for key, value in CORPORA.items() if value.folder}, name: corpus}
    with replacing(OWN_REGISTRY) as partial:
        partial.write_text(HEADER + "".join(_table(entry) for entry in known.values()), encoding="utf-8")
    print(f"{name}: {len(files)} files in {folder}, {n_notes} notes; entry in {OWN_REGISTRY}")
    print("next: python -m stages.corpus audit " + name)
    other = "" if name == "mine" else f" -S profiles.mine.download.corpora=[made,{name}]"
    print(f"then: dvc exp run -S profile=mine{other} train@transcriber")


def _table(corpus: Corpus) -> str:
    """Write an entry; JSON's strings are TOML's."""
    names = ("title", "licence", "citation", "homepage", "role", "use", "folder", "labels", "digest")
    lines = [f"{name} = {json.dumps(getattr(corpus, name), ensure_ascii=False)}" for name in names]
    return "\n".join(["", f"[{corpus.name}]", *lines, ""])


def _audit(name: str) -> None:
    from hf_model.alignment.labels.audit import audit_recordings, describe

    if name not in CORPORA or not CORPORA[name].folder:
        raise ConfigError(
            f"no corpus {name!r} in {OWN_REGISTRY}; run: python -m stages.corpus add FOLDER --name {name}"
        )
    corpus = CORPORA[name]
    records = [record for record in read_own(corpus, Path(corpus.folder)) if record.notes]
    if not records:
        raise ConfigError(f"{name} has no labels with times to compare (labels: {corpus.labels})")
    found = audit_recordings([(record.pair_id, record.audio_path, record.notes or []) for record in records])
    print("\n".join(describe(found)))


if __name__ == "__main__":
    _run.main(main)
