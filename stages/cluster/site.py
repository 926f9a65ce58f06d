"""What one cluster wants of a job: a profile from slurm/profiles, checked, and the batch script rendered from it.

A profile holds the keys of :class:`Site`, and under ``jobs`` what differs for a kind of job: ``train`` (a GPU) or
``cpu``. ``${NAME}`` in a value is the environment variable of whoever submits: Slurm itself expands nothing in
``#SBATCH`` lines.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_model.config import ConfigError, check_choice, check_range, from_mapping
from hf_model.training.preemption import RUN_AGAIN
from stages._run import read_yaml

PROFILES = Path("slurm/profiles")
TEMPLATE = Path(__file__).with_name("train.sbatch")
LOGS = Path("data/scratch/slurm")
"""Where jobs print, relative to the repository; ignored by git and DVC."""

JOBS = ("train", "cpu")

TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<clock>\d+(?::\d+){0,2})")
OPTION = re.compile(r"--[a-z][a-z-]*(=.*)?")


@dataclass(frozen=True)
class Site:
    """A profile, as it applies to one kind of job.

    Attributes
    ----------
    account, partition, qos, gres, constraint, comment : str
        As sbatch takes them; empty ones are left out.
    time : str
        Limit of one stretch; a training may take many.
    memory : str
        Of each node ("64G"); empty for the site's default.
    cpus : int
        Of each task.
    nodes, tasks : int
        Nodes, and tasks on each: as many as it has GPUs for the job.
    signal_seconds : int
        How long before the limit a job is told (SIGUSR1); three quarters of it are for writing the checkpoint.
    requeue : bool
        Whether an interrupted job goes back to the queue.
    container, overlay : str
        Image, and the file system with the Python environment, mounted read-only; empty for none.
    container_setup : str
        Script to source inside the container.
    bind : tuple of str
        Folders that the container sees.
    modules : tuple of str
        Arguments of ``module``: "purge", "load cuda/12".
    environment : dict
        Variables set in the job.
    interface : str
        Network over which jobs talk to each other, as ``ip link`` names it ("ib0"); empty for the usual one.
    scratch : str
        Folder in which the work tree must lie; empty for anywhere.
    options : tuple of str
        Further options of sbatch, "--name=value".
    require : dict
        The site's own rules: a regular expression for a key of this class that its whole value must match.
    """

    account: str = ""
    partition: str = ""
    qos: str = ""
    gres: str = ""
    constraint: str = ""
    comment: str = ""
    time: str = "04:00:00"
    memory: str = ""
    cpus: int = 4
    nodes: int = 1
    tasks: int = 1
    signal_seconds: int = 120
    requeue: bool = True
    container: str = ""
    overlay: str = ""
    container_setup: str = ""
    bind: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    interface: str = ""
    scratch: str = ""
    options: tuple[str, ...] = ()
    require: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what every cluster wants, then this one's own rules."""
        for name, high in (("cpus", 1024), ("nodes", 10_000), ("tasks", 1024)):
            check_range(name, getattr(self, name), 1, high)
        check_range("signal_seconds", self.signal_seconds, 4, seconds(self.time) - 1)
        if self.overlay.endswith((":rw", ":ro")):
            msg = f"overlay is {self.overlay!r}; name the file alone: jobs share it, so it is always mounted :ro"
            raise ConfigError(msg)
        if self.overlay and not self.container:
            msg = f"overlay is {self.overlay!r} without a container to lay it over"
            raise ConfigError(msg)
        for name in self.environment:
            if not re.fullmatch(r"[A-Za-z_]\w*", name):
                msg = f"environment.{name} is no name of a variable"
                raise ConfigError(msg)
        for option in self.options:
            if not OPTION.fullmatch(option):
                msg = f"options has {option!r}, allowed is --name or --name=value"
                raise ConfigError(msg)
        _check_text({name: value for name, value in dataclasses.asdict(self).items() if name != "require"})
        self._check_rules()

    def _check_rules(self) -> None:
        for name, pattern in self.require.items():
            check_choice("a key of require", name, [one.name for one in dataclasses.fields(self)])
            value = str(getattr(self, name))
            if not re.fullmatch(pattern, value):
                msg = f"{name} is {value!r}, allowed here is {pattern or 'nothing: leave it out'}"
                raise ConfigError(msg)

    def directives(self, name: str, folder: Path, array: str = "") -> list[str]:
        """Give the options of sbatch, literal and unquoted.

        Parameters
        ----------
        name : str
            Of the job.
        folder : Path
            The work tree: the job runs there and prints into ``data/scratch/slurm``.
        array : str
            As ``--array`` takes it; empty for a single job.
        """
        if not re.fullmatch(r"[\w.-]+", name):
            msg = f"the name of the job is {name!r}, allowed are letters, digits, dots and hyphens"
            raise ConfigError(msg)
        lead = f"--signal=B:USR1@{self.signal_seconds}"
        logs = str(folder / LOGS).replace("%", "%%")  # sbatch takes %x for a pattern
        wanted = {
            "job-name": name,
            "account": self.account,
            "partition": self.partition,
            "qos": self.qos,
            "gres": self.gres,
            "constraint": self.constraint,
            "comment": self.comment,
            "nodes": str(self.nodes),
            "ntasks-per-node": str(self.tasks),
            "cpus-per-task": str(self.cpus),
            "mem": self.memory,
            "time": self.time,
            "array": array,
            "chdir": str(folder),
            "output": f"{logs}/{'%x-%A_%a' if array else '%x-%j'}.out",
            "open-mode": "append",
        }
        found = [f"--{option}={value}" for option, value in wanted.items() if value]
        found += [lead, "--requeue" if self.requeue else "--no-requeue", *self.options]
        _check_text(found)
        return found

    def prologue(self) -> list[str]:
        """Give the lines of shell that load modules and set variables."""
        loads = [shlex.join(["module", *shlex.split(line)]) for line in self.modules]
        return loads + [f"export {name}={shlex.quote(value)}" for name, value in self.environment.items()]

    def wrapped(self, command: Sequence[str], folder: Path) -> list[str]:
        """Give the words that run a command as a job does: in the container, with SIGUSR1 ignored until it listens."""
        source = f"source {shlex.quote(self.container_setup)} && " if self.container and self.container_setup else ""
        # What bash ignores stays ignored over exec, in DVC and in every program without a handler of its own.
        words = ["bash", "-c", f'trap "" USR1; {source}exec "$@"', "hummingface", *command]
        if not self.container:
            return words
        binds = dict.fromkeys([*self.bind, self.scratch or str(folder)])
        options = [word for path in binds for word in ("--bind", path)]
        if self.overlay:
            options += ["--overlay", f"{self.overlay}:ro"]
        nv = ["--nv"] if "gpu" in self.gres else []
        return ["apptainer", "exec", *nv, *options, "--pwd", str(folder), self.container, *words]

    def script(self, command: Sequence[str], name: str, folder: Path, array: str = "") -> str:
        """Render the batch script that runs a command in a work tree.

        Raises
        ------
        ConfigError
            When the work tree lies outside the site's scratch, or a value cannot stand in a ``#SBATCH`` line.
        """
        folder = folder.resolve()
        if self.scratch and not folder.is_relative_to(Path(self.scratch).resolve()):
            msg = f"the work tree is {folder}, and this site keeps data in {self.scratch}: clone the repository there"
            raise ConfigError(msg)
        # srun does not take --cpus-per-task from the job since Slurm 22.05.
        step = ["srun", "--kill-on-bad-exit=1", f"--cpus-per-task={self.cpus}", *self.wrapped(command, folder)]
        again = 'scontrol requeue "$job" && sleep 60 # until Slurm ends this script'
        filled = {
            "@directives@": [f"#SBATCH {quoted(option)}" for option in self.directives(name, folder, array)],
            "@prologue@": self.prologue(),
            "@step@ &": [f"{shlex.join(step)} &"],
            "    @requeue@": [f"    {again if self.requeue else 'echo submit the same command again: it goes on'}"],
        }
        lines: list[str] = []
        for line in TEMPLATE.read_text(encoding="utf-8").splitlines():
            lines += filled.get(line, [line.replace("@grace@", str(self.grace)).replace("@again@", str(RUN_AGAIN))])
        return "\n".join(lines) + "\n"

    @property
    def grace(self) -> int:
        """Seconds between the signal and the moment at which a job that has not ended is requeued as it is."""
        return self.signal_seconds * 3 // 4


def read_site(profile: str, job: str = "train", changes: Mapping[str, Any] | None = None) -> Site:
    """Read a profile.

    Parameters
    ----------
    profile : str
        A name in slurm/profiles, or the path of a YAML file.
    job : str
        "train" or "cpu": which part of ``jobs`` is laid over it.
    changes : mapping, optional
        Keys to set otherwise this time.

    Raises
    ------
    ConfigError
        In one line, naming file and key.
    """
    check_choice("the kind of job", job, JOBS)
    path = Path(profile) if profile.endswith((".yaml", ".yml")) else PROFILES / f"{profile}.yaml"
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        known = ", ".join(sorted(one.stem for one in PROFILES.glob("*.yaml"))) or "none here"
        msg = f"no profile {path}; known: {known}, or the path of a YAML file"
        raise ConfigError(msg) from None
    if not isinstance(content, Mapping) or not isinstance(content.get("jobs", {}), Mapping):
        msg = f"{path} must hold a mapping, and so must its jobs"
        raise ConfigError(msg)
    for name in content.get("jobs", {}):
        check_choice(f"{path}: jobs", name, JOBS)
    base = {key: value for key, value in content.items() if key != "jobs"}
    merged = {**base, **(content.get("jobs", {}).get(job) or {}), **(changes or {})}
    expanded = {key: value if key == "require" else _expanded(value, f"{path}: {key}") for key, value in merged.items()}
    return from_mapping(Site, expanded, path.stem)


def seconds(time: str) -> int:
    """Read a time limit as sbatch writes it: minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS.

    Raises
    ------
    ConfigError
        For anything else.
    """
    found = TIME.fullmatch(time)
    if not found:
        msg = f"time is {time!r}, allowed is minutes, HH:MM:SS or D-HH:MM:SS"
        raise ConfigError(msg)
    parts = [int(part) for part in found["clock"].split(":")]
    if found["days"]:
        hours, minutes, rest = (*parts, 0, 0)[:3]
        return int(found["days"]) * 86400 + hours * 3600 + minutes * 60 + rest
    if len(parts) == 3:
        return parts[0] * 3600 + parts[1] * 60 + parts[2]
    return parts[0] * 60 + (parts[1] if len(parts) == 2 else 0)


def _expanded(value: Any, where: str) -> Any:
    """Put environment variables into a value."""
    if isinstance(value, str):
        try:
            return string.Template(value).substitute({name: text for name, text in os.environ.items() if text})
        except KeyError as error:
            msg = f"{where} needs the environment variable {error.args[0]}: export {error.args[0]}=..."
            raise ConfigError(msg) from None
        except ValueError:
            msg = f"{where} is {value!r}; write $$ for a dollar sign"
            raise ConfigError(msg) from None
    if isinstance(value, Mapping):
        return {key: _expanded(one, f"{where}.{key}") for key, one in value.items()}
    return [_expanded(one, where) for one in value] if isinstance(value, list) else value


def _check_text(value: Any) -> None:
    """Refuse what could end a ``#SBATCH`` line or its quotes."""
    if isinstance(value, str) and (not value.isprintable() or '"' in value or "\\" in value):
        msg = f"{value!r} has a quote, a backslash or a control character, which no #SBATCH line can hold"
        raise ConfigError(msg)
    if isinstance(value, Mapping):
        value = list(value.values())
    for one in value if isinstance(value, (list, tuple)) else ():
        _check_text(one)


def quoted(option: str) -> str:
    """Quote an option as sbatch reads it: it knows double quotes, and ends at a bare space or ``#``."""
    name, equals, value = option.partition("=")
    return f'{name}="{value}"' if equals and re.search(r"[^\w@:,.%/+=-]", value) else option
