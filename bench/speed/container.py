"""The image of the page without an engine: its size, and a conversion on a root that is read-only, as another user.

A minimal Debian of the release that the Dockerfile names is set up in a folder (debootstrap), and the instructions of
the Dockerfile are carried out in it (chroot). The command of the image then runs in it with what `docker run
--read-only --tmpfs /tmp --cap-drop ALL` gives: a read-only root, an empty /tmp, the user of the image, no capabilities.
Python is Debian's, in the place of the one of the base image, for which 40 MB are added, an upper bound. Needs Linux,
root, debootstrap and util-linux. Writes reports/container.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from hf_model.evaluation.report import markdown_table
from tests.page_server import PageServer

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "twinkle.wav"
MOST_MEGABYTES = 600
TOOLS = ("debootstrap", "chroot", "unshare", "mount", "setpriv")
PACKAGES = "python3-minimal,python3-venv,ca-certificates"
LEFT_OUT = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man")
"""What Debian's images for containers lack."""
PYTHON_DIFFERENCE = 40
"""Megabytes by which the Python of the base image may be larger than Debian's."""

Instruction = tuple[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--out", type=Path, default=Path("data/container"), help="work folder (default: %(default)s)")
    parser.add_argument("--debian", default="http://deb.debian.org/debian", help="mirror of Debian (%(default)s)")
    parser.add_argument("--report", type=Path, default=Path("reports/container.md"), help="default: %(default)s")


def run(options: argparse.Namespace) -> None:
    """Build, measure, convert, and write the report."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing or os.geteuid() != 0:
        raise SystemExit(f"needs root and {', '.join(TOOLS)}; missing: {', '.join(missing) or 'root'}")
    instructions = read_dockerfile(ROOT / "Dockerfile")
    root = options.out.resolve() / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    set_up_base(root, release_of(instructions), options.debian)
    base = megabytes(root)
    environment = build(root, instructions)
    figures = run_image(root, instructions, environment) | {"base": base, "image": megabytes(root) + PYTHON_DIFFERENCE}
    rows = [
        ["size of the image", f"{figures['image']:.0f} MB", f"≤ {MOST_MEGABYTES} MB"],
        ["of this the base", f"{base + PYTHON_DIFFERENCE:.0f} MB", ""],
        ["the server answers after", f"{figures['start']:.1f} s", ""],
        ["the example converted after an upload", f"{figures['notes']:.0f} notes, {figures['convert']:.1f} s", "works"],
        ["user, capabilities", str(figures["user"]), "not root, none"],
        ["a file written outside of /tmp", str(figures["write"]), "refused"],
    ]
    head = [
        "# The image of the page",
        "",
        "`python -m bench container`",
        "",
        *(__doc__ or "").strip().splitlines()[2:],
        "",
    ]
    text = "\n".join([*head, *markdown_table("what | measured | target", rows), ""])
    options.report.write_text(text, encoding="utf-8")
    print(text)


def read_dockerfile(path: Path) -> list[Instruction]:
    """List the instructions of a Dockerfile with their arguments."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


def release_of(instructions: Sequence[Instruction]) -> str:
    """Name the release of Debian of the last base image."""
    last = [arguments.split()[0] for name, arguments in instructions if name == "FROM"][-1]
    return last.rsplit("-", 1)[1]


def set_up_base(root: Path, release: str, mirror: str) -> None:
    """Write a minimal Debian with Python to ``root``."""
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", release, str(root), mirror]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for name in LEFT_OUT:
        shutil.rmtree(root / name, ignore_errors=True)
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")


def build(root: Path, instructions: Sequence[Instruction]) -> dict[str, str]:
    """Carry out the instructions in ``root``; returns the environment of the image.

    Both stages share the folder: what is copied from the first lies where it should, and its sources are removed.
    """
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    folder = "/"
    with_network = borrowed_settings(root)
    for name, arguments in instructions:
        if name == "ENV":
            pairs = (pair.split("=", 1) for pair in shlex.split(arguments))
            environment |= {key: value.replace("$PATH", environment["PATH"]) for key, value in pairs}
        elif name == "WORKDIR":
            folder = arguments
            (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif name == "COPY" and "--from" not in arguments:
            *sources, target = shlex.split(arguments)
            for source in sources:
                copy(ROOT / source, root / folder.lstrip("/") / target, is_folder=target.endswith("/"))
        elif name == "RUN":
            script = f"cd {shlex.quote(folder)} && {arguments}"
            words = ["unshare", "--mount", "chroot", str(root), "/bin/sh", "-c", script]
            subprocess.run(words, check=True, env=environment | with_network, stdout=subprocess.DEVNULL)
        elif name == "FROM" and folder != "/":
            shutil.rmtree(root / folder.lstrip("/"))
            folder = "/"
    shutil.rmtree(root / "borrowed", ignore_errors=True)
    return environment


def borrowed_settings(root: Path) -> dict[str, str]:
    """Give the build this machine's name server, certificates and index of packages."""
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    kept = root / "borrowed"
    kept.mkdir()
    found = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    bundle = os.environ.get("PIP_CERT", "/etc/ssl/certs/ca-certificates.crt")
    if Path(bundle).is_file():
        shutil.copy(bundle, kept / "certificates.crt")
        found["PIP_CERT"] = "/borrowed/certificates.crt"
    index = os.environ.get("PIP_INDEX_URL")
    return found | ({"PIP_INDEX_URL": index} if index else {})


def copy(source: Path, target: Path, *, is_folder: bool) -> None:
    """Copy a file or a folder as COPY does."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        shutil.copy(source, target / source.name if is_folder or target.is_dir() else target)


def megabytes(folder: Path) -> float:
    """Measure what a folder takes on the disk; 1 MB is 10^6 bytes."""
    out = subprocess.run(["du", "-s", "-x", "--block-size=1", str(folder)], check=True, capture_output=True, text=True)
    return int(out.stdout.split()[0]) / 1e6


class RunningImage(PageServer):
    """The server of an image that is already up."""

    def __init__(self, address: str) -> None:
        self.address, self.token = address, ""


def run_image(
    root: Path, instructions: Sequence[Instruction], environment: Mapping[str, str]
) -> dict[str, float | str]:
    """Run the command of the image, convert the example, and try to write outside of /tmp."""
    final = dict(instructions)
    user = final["USER"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(port) if word == final["EXPOSE"] else word for word in json.loads(final["ENTRYPOINT"])]
    began = time.monotonic()
    process = subprocess.Popen(
        confined(root, user, command), env=dict(environment), stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        page = RunningImage(f"http://127.0.0.1:{port}")
        while not page.is_alive():
            if process.poll() is not None or time.monotonic() - began > 120:
                raise SystemExit("the server of the image did not start")
            time.sleep(0.1)
        start, asked = time.monotonic() - began, time.monotonic()
        done, result = page.convert(EXAMPLE.read_bytes())
        if not done:
            raise SystemExit(f"the image did not convert the example: {result}")
        convert = time.monotonic() - asked
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    write = "touch /etc/x 2>/dev/null || touch /opt/hummingface/x 2>/dev/null"
    probe = f"id -u; grep CapEff /proc/self/status; {write} && echo written || echo refused"
    shown = subprocess.run(
        confined(root, user, ["/bin/sh", "-c", probe]),
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    return {
        "start": start,
        "convert": convert,
        "notes": len(result["notes"]),
        "user": f"{shown[0]}, {'none' if not int(shown[2], 16) else shown[2]}",
        "write": shown[-1],
    }


def confined(root: Path, user: str, command: Sequence[str]) -> list[str]:
    """Give the words that run a command on a read-only root with an empty /tmp, as a user without capabilities."""
    setup = (
        'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && mount -t proc proc "$0/proc" '
        '&& mount -t tmpfs tmpfs "$0/tmp" && mount --bind /dev "$0/dev" '
        f'&& exec chroot --userspec={user}:{user} --groups= "$0" "$@"'
    )
    inner = ["setpriv", "--no-new-privs", "--inh-caps=-all", *command]
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", setup, str(root), *inner]
