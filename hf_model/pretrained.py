"""Model folders: saving and loading ``config.json`` and ``model.safetensors``."""

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
    """Base class of networks whose constructor takes one settings dataclass, ``config``.

    Attributes
    ----------
    facts : dict
        Further content of ``config.json``: training data, decoder settings, validation metrics.
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
            Created if missing.
        **extra
            Plain values for ``config.json``, which replace those of the same name in ``facts``.
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
        """Load a model of :meth:`save_pretrained`, in evaluation mode, on the CPU.

        Parameters
        ----------
        folder : path or str
            A folder, or ``owner/name`` on the Hugging Face Hub (see :func:`hf_model.hub.model_folder`).
        revision : str, optional
            Branch, tag or commit on the Hub.

        Raises
        ------
        FileNotFoundError
            If the folder has no model.
        HubError
            If the Hub has no model of that name, or cannot be reached.
        ConfigError
            If it is another kind of model, or has settings unknown to this version.
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
        """Save to ``owner/name`` on the Hugging Face Hub, and return the URL of the commit.

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
        If the folder has no model.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        msg = f"no model in {folder}: config.json is missing"
        raise FileNotFoundError(msg)
    settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return settings


def publish(source: Path | str, target: Path | str, **facts: Any) -> None:
    """Copy a trained model for publication, with float16 weights.

    Parameters
    ----------
    source, target : path
        Model folders; other files of the target, such as its model card, are kept.
    **facts
        Added to ``config.json``: ``trained_on``, ``licence``.
    """
    from safetensors.torch import load_file, save_file

    settings = {**read_config(source), **facts}
    state = load_file(Path(source) / "model.safetensors")
    float16 = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    Path(target).mkdir(parents=True, exist_ok=True)
    save_file(float16, Path(target) / "model.safetensors")
    (Path(target) / "config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Copy a trained model for publication: ``python -m hf_model.pretrained data/model/transcriber FOLDER``."""
    parser = argparse.ArgumentParser(prog="python -m hf_model.pretrained", description=main.__doc__)
    parser.add_argument("source", type=Path, help="model folder written by the training")
    parser.add_argument("target", type=Path, help="folder to write; weights in it are replaced")
    parser.add_argument("--trained-on", required=True, help="description of the training data, for config.json")
    parser.add_argument("--licence", default="MIT")
    chosen = parser.parse_args(arguments)
    publish(chosen.source, chosen.target, trained_on=chosen.trained_on, licence=chosen.licence)


if __name__ == "__main__":
    main()
