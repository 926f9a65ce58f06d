"""What the program says in odd environments: full disks, closed streams, read-only folders, no home, links, two runs.

Each case is a run of the program in a folder of its own, of a second of tones or a table of one note.
"""

from __future__ import annotations

import argparse
import functools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

COMMAND = "python -m bench environments"

PROGRAM = f"'{sys.executable}' -m hf_model.cli"

UNPRIVILEGED = "setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-all "
"""Without it, root could write everywhere."""

CASES: dict[str, tuple[str, str]] = {
    "a full standard output": ("code 1, named", "$P convert hum.wav > /dev/full"),
    "a reader that has gone": ("code 141, quiet", "set -o pipefail; $P completion bash | true"),
    "a closed standard output": ("code 0, converted", "$P convert hum.wav >&-"),
    "a closed standard error": ("code 1, quiet", "$P convert nothing.wav 2>&-"),
    "a full disk under the outputs": (
        "code 1, folder named",
        "mkdir full; mount -t tmpfs -o size=64k none full && { $P convert hum.wav --out-dir full; c=$?; ls -A full; "
        "umount full; exit $c; }",
    ),
    "a full folder of temporary files": (
        "code 0, kept in memory",
        "mkdir full; mount -t tmpfs -o size=4k none full && { TMPDIR=$PWD/full $P convert hum.wav; c=$?; umount full; "
        "exit $c; }",
    ),
    "a read-only output folder": ("code 1, folder named", "mkdir -m 500 out; $U $P convert hum.wav --out-dir out"),
    "an output folder that cannot be entered": (
        "code 1, folder named",
        "mkdir -m 000 out; $U $P convert hum.wav --out-dir out",
    ),
    "a folder of recordings that cannot be read": (
        "code 1, folder named",
        "mkdir -m 000 in; $U $P convert hum.wav in --out-dir out",
    ),
    "no HOME": ("code 0", "env -u HOME $P convert hum.wav"),
    "no TMPDIR, or one that is missing": ("code 0", "TMPDIR=/nothing $P convert hum.wav"),
    "the POSIX locale": ("code 0", "mv hum.wav hüm.wav; LC_ALL=POSIX PYTHONUTF8=0 $P convert hüm.wav"),
    "umask 077": ("code 0, mode 600", "umask 077; $P convert hum.wav; stat -c %a hum_piano.wav >&2"),
    "a link in the place of an output": ("code 1, kept", "ln -s x hum_piano.wav; $P convert hum.wav"),
    "the same with --overwrite": (
        "code 0, target kept",
        "echo precious > x; ln -s x hum_piano.wav; $P convert hum.wav --overwrite; c=$?; cat x >&2; exit $c",
    ),
    "two runs into one folder at once": (
        "one converts, one is refused",
        "$P convert hum.wav & $P convert hum.wav; a=$?; wait $!; b=$?; echo codes $((a + b)) >&2; ls -A *piano* >&2",
    ),
    "a source that is its own output": (
        "code 1, kept",
        "mv notes.csv a.wav; $P render a.wav --overwrite; c=$?; cat a.wav >&2; exit $c",
    ),
    "a pipe as input": ("code 1, no wait", "mkfifo a.wav; $P convert a.wav"),
    "a device as input": ("code 1, no wait", "$P render /dev/zero"),
    "a recording of 20 hours": (
        "code 1, or bounded memory",
        "$PY -c \"import numpy as n, soundfile as s; f = s.SoundFile('a.flac', 'w', 8000, 1); "
        '[f.write(n.zeros(8000 * 3600)) for _ in range(20)]"; $P convert a.flac',
    ),
    "a note of an hour": (
        "code 0, bounded memory",
        "printf 'onset,offset,note\\n0,3600,40\\n' > a.csv; $P render a.csv",
    ),
    "a million rows": (
        "code 1",
        "{ echo onset,offset,note; yes 0,1,60 | head -1000000; } > a.csv; $P render a.csv",
    ),
}
"""What is right, and a program of the shell; $P is the program, $U drops the rights of root."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--only", metavar="TEXT", default="", help="cases whose name contains this")


def run(options: argparse.Namespace) -> None:
    """Print each case, what is right and what happened."""
    for row in rows(options.only):
        print(f"{row['what']} ({row['target']}): {row['result']}", flush=True)


def rows(only: str = "") -> list[dict[str, str]]:
    """Run the cases whose name contains a text.

    Returns
    -------
    list of dict
        ``what``, ``target``, ``result`` and ``command`` of each.
    """
    table = []
    for what, (target, script) in CASES.items():
        if only in what:
            table.append(_row(what, target, functools.partial(_run, script)))
    for number in (signal.SIGINT, signal.SIGTERM):
        what = f"{number.name} at five moments"
        if only in what:
            table.append(_row(what, "code 130 within 2 s, nothing left", functools.partial(_stop, number)))
    return table


def _row(what: str, target: str, measure: Callable[[Path], str]) -> dict[str, str]:
    from hf_model.audio.io import write_audio
    from tests.fakes import tones

    with tempfile.TemporaryDirectory(prefix="hummingface-") as folder:
        write_audio(Path(folder) / "hum.wav", tones([60, 64, 67]), 16000)
        (Path(folder) / "notes.csv").write_text("onset,offset,note\n0,0.2,60\n")
        result = measure(Path(folder)).replace(folder + "/", "").replace(folder, ".")
    return {"what": what, "target": target, "result": result, "command": COMMAND}


def _run(script: str, folder: Path) -> str:
    """Run a program of the shell; give its code, time and memory, and the end of what it says."""
    meter = "import resource,sys;print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss//1024,file=sys.stderr)"
    environment = os.environ | {"P": "", "PYTHONPATH": str(Path(__file__).parents[2])}
    script = script.replace("$PY", f"'{sys.executable}'").replace("$P ", f"{PROGRAM} ").replace("$U ", UNPRIVILEGED)
    wrapped = f"import subprocess,sys;c=subprocess.call(['bash','-c',sys.argv[1]]);{meter};sys.exit(c)"
    started = time.perf_counter()
    command = [sys.executable, "-c", wrapped, script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False, timeout=600)
    *said, megabytes = done.stderr.decode(errors="replace").splitlines()
    took = f"code {done.returncode}, {time.perf_counter() - started:.1f} s, {megabytes} MB"
    return f"{took}; says: {' / '.join(said)[:300]}" if said else took


def _stop(number: signal.Signals, folder: Path) -> str:
    """Send a signal at five moments of a conversion; give the codes, the longest time and what is left."""
    import numpy as np

    from hf_model.audio.io import write_audio
    from tests.fakes import tones

    write_audio(folder / "long.wav", np.tile(tones([60, 62, 64, 65, 67]), 60), 16000)
    codes, slowest = set(), 0.0
    for delay in (0.5, 1.0, 2.0, 3.0, 4.0):
        command = [sys.executable, "-m", "hf_model.cli", "convert", "long.wav", "--out-dir", "out", "--plot"]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            preexec_fn=_heed_interrupts,
        )
        time.sleep(delay)
        started = time.perf_counter()
        process.send_signal(number)
        process.communicate()
        codes.add(process.returncode if process.returncode >= 0 else 128 - process.returncode)  # as shells say
        slowest = max(slowest, time.perf_counter() - started)
    left = sorted(path.name for path in folder.rglob("*") if path.name not in {"hum.wav", "notes.csv", "long.wav"})
    return f"codes {sorted(codes)}, at most {slowest:.1f} s; left: {', '.join(left) or 'nothing'}"


def _heed_interrupts() -> None:
    """Undo what a shell's background jobs inherit: they ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
