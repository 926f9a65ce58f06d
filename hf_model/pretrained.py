"""Models in folders: ``config.json`` beside ``model.safetensors``."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from torch import nn

from hf_model.config import ConfigError, from_mapping, to_mapping
from hf_model.hub import model_folder, push_folder

M = TypeVar("M", bound="Pretrained")


class Pretrained(nn.Module):
    """A network whose constructor takes one settings dataclass, ``config``.

    Attributes
    ----------
    facts : dict
        What ``config.json`` says beside the settings: training data, decoder settings, sound font, figures.
    """

    config_class: ClassVar[type[Any]]
    kind: ClassVar[str]

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.facts: dict[str, Any] = {}

    def save_pretrained(self, folder: Path | str, **extra: Any) -> None:
        """Write ``config.json`` and ``model.safetensors``.

        Parameters
        ----------
        folder : path
            Made if missing.
        **extra
            Plain values kept in ``config.json`` beside the settings and ``facts``, in place of facts of that name.
        """
        from safetensors.torch import save_file

        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        settings = {"kind": self.kind, "model": to_mapping(self.config), **self.facts, **extra}
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        save_file(state, target / "model.safetensors")
        (target / "config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls: type[M], folder: Path | str, *, revision: str | None = None) -> M:
        """Read a model that :meth:`save_pretrained` wrote, in evaluation mode, on the CPU.

        Parameters
        ----------
        folder : path or str
            A folder, or ``owner/name`` on the Hugging Face Hub (see :func:`hf_model.hub.model_folder`).
        revision : str, optional
            Branch, tag or commit on the Hub.

        Raises
        ------
        FileNotFoundError
            If the folder holds no model.
        HubError
            If the Hub has none of that name, or cannot be reached.
        ConfigError
            If it holds another kind of model, or settings that this version does not know.
        """
        from safetensors.torch import load_file

        source = model_folder(folder, revision)
        settings = read_config(source)
        if settings.get("kind") != cls.kind:
            msg = f"{source} holds a {settings.get('kind')!r} model, expected {cls.kind!r}"
            raise ConfigError(msg)
        model = cls(from_mapping(cls.config_class, settings["model"], "model"))
        model.load_state_dict(load_file(source / "model.safetensors"))
        model.facts = {name: value for name, value in settings.items() if name not in ("kind", "model")}
        return model.eval()

    def push_to_hub(
        self, name: str, *, private: bool = False, token: str | None = None, message: str | None = None, **extra: Any
    ) -> str:
        """Save to ``owner/name`` on the Hugging Face Hub, and return the address of the commit.

        Parameters as for :func:`hf_model.hub.push_folder` and :meth:`save_pretrained`.
        """
        with tempfile.TemporaryDirectory(prefix="hummingface-") as folder:
            self.save_pretrained(folder, **extra)
            return push_folder(folder, name, private=private, token=token, message=message)


def read_config(folder: Path | str) -> dict[str, Any]:
    """Read the ``config.json`` of a model folder.

    Raises
    ------
    FileNotFoundError
        If the folder holds no model.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        msg = f"no model in {folder}: config.json is missing"
        raise FileNotFoundError(msg)
    settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return settings


def ship(source: Path | str, target: Path | str, **facts: Any) -> None:
    """Copy a trained model with its weights in half the bytes (float16), as it is published.

    Parameters
    ----------
    source, target : path
        Model folders; the target keeps what else it holds, its card for one.
    **facts
        Kept in ``config.json``: ``trained_on``, ``licence``.
    """
    from safetensors.torch import load_file, save_file

    settings = {**read_config(source), **facts}
    state = load_file(Path(source) / "model.safetensors")
    halves = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    Path(target).mkdir(parents=True, exist_ok=True)
    save_file(halves, Path(target) / "model.safetensors")
    (Path(target) / "config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Copy a trained model as it is published: ``python -m hf_model.pretrained data/model/transcriber FOLDER``."""
    parser = argparse.ArgumentParser(prog="python -m hf_model.pretrained", description=main.__doc__)
    parser.add_argument("source", type=Path, help="a model folder, as training wrote it")
    parser.add_argument("target", type=Path, help="where to; weights there are replaced")
    parser.add_argument("--trained-on", required=True, help="in words, for config.json")
    parser.add_argument("--licence", default="MIT")
    chosen = parser.parse_args(arguments)
    ship(chosen.source, chosen.target, trained_on=chosen.trained_on, licence=chosen.licence)


if __name__ == "__main__":
    main()
