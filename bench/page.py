"""The page on this machine: start of the server, and from pressing the example to a piano that can be played.

    python bench/page.py [--times 5]

Wall-clock seconds, and the server's CPU seconds until it answers, which a busy machine changes little.
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

from playwright.sync_api import sync_playwright

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def main() -> None:
    """Start a server, press the example, and print how long it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="how often the example is pressed (%(default)s)")
    times = parser.parse_args().times
    began = time.monotonic()
    command = [sys.executable, "-m", "hf_model.cli.main", "app", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        address = server.stdout.readline().split()[3]
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=60):
                break
            time.sleep(0.02)
        ticks = Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
        print(f"start of the server: {time.monotonic() - began:.1f} s (CPU {cpu:.1f} s)")
        try:
            waits = [press(address) for _ in range(times + 1)]
        finally:
            server.terminate()
    print(f"example to playable piano, first: {waits[0]:.2f} s")
    print(f"example to playable piano, warm: {statistics.median(waits[1:]):.2f} s, slowest {max(waits[1:]):.2f} s")


def press(address: str) -> float:
    """Seconds from pressing the example to a piano that can be played."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        page = browser.new_page()
        page.goto(address)
        began = time.monotonic()
        page.click("#example")
        page.wait_for_selector("#play:enabled")
        seconds = time.monotonic() - began
        browser.close()
    return seconds


if __name__ == "__main__":
    main()
