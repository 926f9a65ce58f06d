"""Measure the page on this machine: start of the server, and the time from a recording to a playable piano.

Wall-clock seconds, and the CPU seconds of the server until it answers, which depend less on the load.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import IO

from playwright.sync_api import sync_playwright

BROWSER_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--times", type=int, default=5, help="how often each recording is converted (%(default)s)")
    parser.add_argument("--song", type=Path, metavar="FILE", help="a song to convert beside the example")


def run(options: argparse.Namespace) -> None:
    """Start a server, convert the example and a song, and print how long it takes."""
    began = time.monotonic()
    command = [sys.executable, "-m", "hf_model.cli.main", "app", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = wait_for(server.stdout)
            ticks = Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
            cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
            print(f"start of the server: {time.monotonic() - began:.1f} s (CPU {cpu:.1f} s)")
            recordings = [None, options.song] if options.song else [None]
            for recording in recordings:
                waits = [convert(url, recording) for _ in range(options.times + 1)]
                name = f"{recording.name if recording else 'example'} to playable piano"
                print(f"{name}, first: {waits[0]:.2f} s")
                print(f"{name}, warm: {statistics.median(waits[1:]):.2f} s, slowest {max(waits[1:]):.2f} s")
        finally:
            server.terminate()


def wait_for(output: IO[str] | None) -> str:
    """Read the URL that the server prints, and wait until it answers."""
    words = (output.readline() if output else "").split()
    if len(words) < 4:
        raise SystemExit(f"the server printed {' '.join(words)!r}, no URL")
    while True:
        with suppress(OSError), urllib.request.urlopen(f"{words[3]}/health", timeout=60):
            return words[3]
        time.sleep(0.02)


def convert(url: str, recording: Path | None) -> float:
    """Seconds from the choice of a recording, or of the example without one, to an enabled play button."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=BROWSER_OPTIONS)
        page = browser.new_page()
        page.set_default_timeout(300_000)
        page.goto(url)
        began = time.monotonic()
        if recording is None:
            page.click("#example")
        else:
            page.set_input_files("#file", recording)
            page.wait_for_selector("#play:enabled, body[data-state=choosing]")
            if page.get_attribute("body", "data-state") == "choosing":  # long: it asks which part
                page.click("#convert-part")
        page.wait_for_selector("#play:enabled")
        seconds = time.monotonic() - began
        if recording is not None:
            print(page.inner_text("#source-words"))
        browser.close()
    return seconds
