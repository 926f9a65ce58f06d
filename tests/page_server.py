"""The page's server as users run it: a process with its own temporary folder, whose connections are logged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

PROGRAM = """
import sys
log = open(sys.argv.pop(1), "a", buffering=1)
def record(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
        place = arguments[1] if event != "socket.getaddrinfo" else arguments[0]
        log.write(f"{event} {place!r}\\n")
sys.addaudithook(record)
from hf_model.cli.main import main
sys.exit(main())
"""


class PageServer:
    """`hummingface app` on a free port."""

    def __init__(self, folder: Path) -> None:
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.connections = folder / "connections"
        self.errors = folder / "errors"
        environment = os.environ | {"TMPDIR": str(self.temporary), "PYTHONUNBUFFERED": "1"}
        began = time.monotonic()
        self._error_file = self.errors.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(self.connections), "app", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=self._error_file,
            text=True,
            env=environment,
            cwd=Path(__file__).parents[1],
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line.startswith("HummingFace is at http://127.0.0.1:"), line + self.errors.read_text()
        self.address, _, self.token = line.split()[3].partition("/?token=")
        for _ in range(600):
            if self.is_alive():
                break
            time.sleep(0.1)
        self.start_seconds = time.monotonic() - began

    def close(self) -> int:
        """Terminate the server; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        assert self.process.stdout
        self.process.stdout.close()
        self._error_file.close()
        return code

    def is_alive(self) -> bool:
        try:
            return self.get("/health")[0] == (401 if self.token else 200)
        except OSError:
            return False

    def get(self, path: str) -> tuple[int, bytes]:
        return self._send(urllib.request.Request(self.address + path))

    def post(self, path: str, body: Any = b"", **headers: str) -> tuple[int, Any]:
        """Status, and the JSON of the response."""
        request = urllib.request.Request(self.address + path, data=body, method="POST", headers=headers)
        status, response = self._send(request)
        return status, json.loads(response) if response[:1] in b"{[" and response else response

    def run_job(self, body: Any) -> tuple[bool, Any]:
        """Run a job: whether it succeeded, and its result or the error shown to the user."""
        request = urllib.request.Request(
            self.address + "/jobs", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as lines:
                messages = [json.loads(line) for line in lines if line.strip()]
        except urllib.error.HTTPError as error:
            with error:
                return False, f"{error.code}: {error.read().decode()}"
        last = messages[-1] if messages else {}
        return "result" in last, last.get("result", last.get("error", "the messages ended"))

    def render(self, recording: str, notes: Any, settings: Any) -> tuple[bool, Any]:
        return self.run_job({"job": "render", "recording": recording, "notes": notes, "settings": settings})

    def convert(self, recording: bytes) -> tuple[bool, Any]:
        """Upload and convert a recording: as :meth:`job`; the result has its id under "id"."""
        status, response = self.post("/recordings", recording)
        if status != 200:
            return False, response["error"]
        done, result = self.convert_uploaded(response["recording"])
        return done, result | {"id": response["recording"]} if done else result

    def convert_uploaded(self, recording: Any) -> tuple[bool, Any]:
        return self.run_job({"job": "convert", "recording": recording, "start": 0, "settings": {}})

    def files(self) -> set[str]:
        """Everything in the folder for temporary files, other than the server's own folder, lock and sockets."""
        found = {str(path.relative_to(self.temporary)) for path in self.temporary.rglob("*") if not path.is_socket()}
        return {name for name in found if name.count("/") and not name.endswith("in-use") and "pymp-" not in name}

    def outside(self) -> list[str]:
        """Connections and look-ups of other machines."""
        lines = self.connections.read_text().splitlines()
        return [
            line for line in lines if not any(own in line for own in ("127.0.0.1", "localhost", "'/", "b'/", "None"))
        ]

    def peak_megabytes(self) -> float:
        """Peak memory of the process."""
        return self._status("VmHWM") / 1024

    def memory_megabytes(self) -> float:
        """Memory of the process now."""
        return self._status("VmRSS") / 1024

    def threads(self) -> int:
        return self._status("Threads")

    def descriptors(self) -> int:
        """Open files and connections of the process."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def cpu_seconds(self) -> float:
        """CPU time of the process and of its decoders that ended."""
        ticks = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:15]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{name}:"))

    @staticmethod
    def _send(request: urllib.request.Request) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
