"""Attack the page: hostile requests of every kind against a server that is started for it.

After each kind: the page answers, nothing is left in the folder for temporary files, the log has no traceback, no
response contains another visitor's recording, and memory and open files have not grown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench.reliability.attack_kinds import KINDS
from bench.reliability.attack_page import VICTIM, AttackedPage, Kind, Scale
from bench.reliability.reliability import as_table, save
from tests.page_server import PageServer

COMMAND = "python -m bench attack"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS, metavar="KIND", help="only these")
    parser.add_argument("--keep", action="store_true", help="write the rows into reports/reliability.md")


def run(options: argparse.Namespace) -> None:
    """Attack a server and print what came of it."""
    found = rows(kinds=options.kinds)
    if options.keep:
        save("attack", found)
    print(as_table(found))


def rows(scale: Scale | None = None, kinds: list[str] | None = None) -> list[dict[str, str]]:
    """Attack a new server and give the rows of reports/reliability.md."""
    with tempfile.TemporaryDirectory() as folder:
        server = PageServer(Path(folder))
        try:
            results = attack(server, scale or Scale(), kinds)
        finally:
            server.close()
    total, findings = (sum(values) for values in zip(*((k.n_requests, len(k.findings)) for k in results), strict=True))
    table = [row_of(kind) for kind in results]
    what = "alive after each kind, nothing left, no traceback, no leak, memory and open files flat"
    result = f"{findings} findings" if findings else f"0 findings: {what}"
    return [*table, {"what": f"page: all {total} requests", "target": "500; 0", "result": result, "command": COMMAND}]


def attack(server: PageServer, scale: Scale, kinds: list[str] | None = None) -> list[Kind]:
    """Attack a server with all kinds, or some."""
    page = AttackedPage(server, scale)
    page.welcome_victim()
    results = []
    for name in kinds or KINDS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        kind = Kind(name)
        KINDS[name](page, kind)
        kind.findings += page.after()
        results.append(kind)
    if page.send("GET", f"/recordings/{page.victim}/piano.wav", source=VICTIM)[0] != 200:
        results[-1].findings.append("the visitor's own recording is lost")
    page.send("POST", f"/recordings/{page.victim}/forget", source=VICTIM)
    return results


def row_of(kind: Kind) -> dict[str, str]:
    """Give the row of one kind: its answers, and its first findings."""
    answers = ", ".join(f"{number} {answer}" for answer, number in kind.answers.most_common())
    first = "".join(f"; {finding}" for finding in kind.findings[:3])
    return {
        "what": f"page: {kind.name}, {kind.n_requests} requests",
        "target": "0 findings",
        "result": f"{len(kind.findings)} findings ({answers}){first}",
        "command": COMMAND,
    }
