"""Profiles of clusters (slurm/profiles): read, validated, and rendered as a batch script.

A profile holds the keys of :class:`Site`, and under ``jobs`` the overrides for a kind of job: ``train`` (a GPU) or
``cpu``. ``${NAME}`` in a value is an environment variable of the submitting user: Slurm itself expands nothing in
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
"""Output of jobs, relative to the repository; ignored by git and DVC."""

JOBS = ("train", "cpu")

TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<clock>\d+(?::\d+){0,2})")
OPTION = re.compile(r"--[a-z][a-z-]*(=.*)?")


@dataclass(frozen=True)
class Site:
    """A profile for one kind of job.

    Attributes
    ----------
    account, partition, qos, gres, constraint, comment : str
        Options of sbatch; empty ones are omitted.
    time : str
        Time limit; a training may be requeued many times.
    memory : str
        Per node ("64G"); empty for the site's default.
    cpus : int
        Per task.
    nodes, tasks : int
        Nodes, and tasks per node: one for each GPU of the job.
    signal_seconds : int
        Time between SIGUSR1 and the limit; three quarters of it are for writing the checkpoint.
    requeue : bool
        Whether an interrupted job is requeued.
    container, overlay : str
        Image, and the file system with the Python environment, mounted read-only; empty for none.
    container_setup : str
        Script to source inside the container.
    bind : tuple of str
        Folders to mount in the container.
    modules : tuple of str
        Arguments of ``module``: "purge", "load cuda/12".
    environment : dict
        Variables set in the job.
    interface : str
        Network interface for connections between jobs, as listed by ``ip link`` ("ib0"); empty for the default.
    scratch : str
        Folder that must contain the work tree; empty for no restriction.
    options : tuple of str
        Further options of sbatch, "--name=value".
    require : dict
        Rules of the site: a regular expression for a key of this class that must match its whole value.

    Raises
    ------
    hf_model.config.ConfigError
        For an impossible value, or one that breaks a rule of the site.
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
        """Check the values, then the rules of the site."""
        for name, high in (("cpus", 1024), ("nodes", 10_000), ("tasks", 1024)):
            check_range(name, getattr(self, name), 1, high)
        check_range("signal_seconds", self.signal_seconds, 4, limit_in_seconds(self.time) - 1)
        if self.overlay.endswith((":rw", ":ro")):
            msg = f"overlay is {self.overlay!r}; give the path only: jobs share it, so it is always mounted :ro"
            raise ConfigError(msg)
        if self.overlay and not self.container:
            msg = f"overlay is {self.overlay!r}, but there is no container"
            raise ConfigError(msg)
        for name in self.environment:
            if not re.fullmatch(r"[A-Za-z_]\w*", name):
                msg = f"environment.{name} is not a valid variable name"
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
        """Return the options of sbatch, unquoted.

        Parameters
        ----------
        name : str
            Name of the job.
        folder : Path
            The work tree: the job runs there, and its output is in ``data/scratch/slurm``.
        array : str
            Value of ``--array``; empty for a single job.
        """
        if not re.fullmatch(r"[\w.-]+", name):
            msg = f"the name of the job is {name!r}, allowed are letters, digits, dots and hyphens"
            raise ConfigError(msg)
        lead = f"--signal=B:USR1@{self.signal_seconds}"
        logs = str(folder / LOGS).replace("%", "%%")  # % starts a pattern in sbatch
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
        """Return the shell lines that load modules and set variables."""
        loads = [shlex.join(["module", *shlex.split(line)]) for line in self.modules]
        return loads + [f"export {name}={shlex.quote(value)}" for name, value in self.environment.items()]

    def wrap(self, command: Sequence[str], folder: Path) -> list[str]:
        """Return the command as a job runs it: in the container, with SIGUSR1 ignored until a handler is installed."""
        source = f"source {shlex.quote(self.container_setup)} && " if self.container and self.container_setup else ""
        # A signal that bash ignores stays ignored after exec, in DVC and in every program without a handler.
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
            When the work tree is outside the site's scratch, or a value is not allowed in an ``#SBATCH`` line.
        """
        folder = folder.resolve()
        if self.scratch and not folder.is_relative_to(Path(self.scratch).resolve()):
            msg = f"the work tree is {folder}, but this site keeps data in {self.scratch}: clone the repository there"
            raise ConfigError(msg)
        # Since Slurm 22.05 srun does not inherit --cpus-per-task from the job.
        step = ["srun", "--kill-on-bad-exit=1", f"--cpus-per-task={self.cpus}", *self.wrap(command, folder)]
        again = 'scontrol requeue "$job" && sleep 60 # until Slurm ends this script'
        filled = {
            "@directives@": [f"#SBATCH {quote_option(option)}" for option in self.directives(name, folder, array)],
            "@prologue@": self.prologue(),
            "@step@ &": [f"{shlex.join(step)} &"],
            "    @requeue@": [f"    {again if self.requeue else 'echo submit the same command again: it continues'}"],
        }
        lines: list[str] = []
        for line in TEMPLATE.read_text(encoding="utf-8").splitlines():
            lines += filled.get(line, [line.replace("@grace@", str(self.grace)).replace("@again@", str(RUN_AGAIN))])
        return "\n".join(lines) + "\n"

    @property
    def grace(self) -> int:
        """Seconds after SIGUSR1 until a job that has not ended is requeued."""
        return self.signal_seconds * 3 // 4


def read_site(profile: str, job: str = "train", changes: Mapping[str, Any] | None = None) -> Site:
    """Read a profile.

    Parameters
    ----------
    profile : str
        A name in slurm/profiles, or the path of a YAML file.
    job : str
        "train" or "cpu": the part of ``jobs`` that overrides the other keys.
    changes : mapping, optional
        Keys to override.

    Raises
    ------
    ConfigError
        For an unknown or invalid profile; the message names file and key.
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
    expanded = {
        key: value if key == "require" else _expand_variables(value, f"{path}: {key}") for key, value in merged.items()
    }
    return from_mapping(Site, expanded, path.stem)


def limit_in_seconds(time: str) -> int:
    """Parse a time limit of sbatch: minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS.

    Raises
    ------
    ConfigError
        For any other format.
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


def _expand_variables(value: Any, where: str) -> Any:
    """Replace ``${NAME}`` by environment variables, also in nested values."""
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
        return {key: _expand_variables(one, f"{where}.{key}") for key, one in value.items()}
    return [_expand_variables(one, where) for one in value] if isinstance(value, list) else value


def _check_text(value: Any) -> None:
    """Refuse characters that could end an ``#SBATCH`` line or its quotes."""
    if isinstance(value, str) and (not value.isprintable() or '"' in value or "\\" in value):
        msg = f"{value!r} has a quote, a backslash or a control character, which an #SBATCH line cannot contain"
        raise ConfigError(msg)
    if isinstance(value, Mapping):
        value = list(value.values())
    for one in value if isinstance(value, (list, tuple)) else ():
        _check_text(one)


def quote_option(option: str) -> str:
    """Quote an option for sbatch, which accepts double quotes, and stops at an unquoted space or ``#``."""
    name, equals, value = option.partition("=")
    return f'{name}="{value}"' if equals and re.search(r"[^\w@:,.%/+=-]", value) else option
