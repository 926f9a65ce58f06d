"""Base of the models that run without torch: reading, copying and publishing a model folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from hf_model.hub import FILES, model_folder, push_folder
from hf_model.weights import part_of_config, read_kind


class OnnxModel:
    """A trained model of a folder with ``config.json`` and ``model.onnx``.

    Parameters
    ----------
    folder : path
    settings : mapping
        The content of ``config.json``.

    Attributes
    ----------
    config : dataclass
        Shape of the network, of the class ``config_class``.
    facts : mapping
        The content of ``config.json``: training data, decoder settings, validation metrics.
    """

    config_class: ClassVar[type[Any]]
    kind: ClassVar[str]

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder, self.facts = folder, settings
        self.config = part_of_config(self.config_class, folder, settings, "model")

    def __reduce__(self) -> tuple[type[Self], tuple[Path, Mapping[str, Any]]]:
        """Another process loads the model from its folder."""
        return type(self), (self.folder, self.facts)

    @classmethod
    def from_pretrained(cls, folder: Path | str, *, revision: str | None = None) -> Self:
        """Load a model.

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
            If it is another kind of model, has settings unknown to this version, or was not exported yet.
        WeightsError
            If a file is damaged or belongs to another ``config.json``.
        """
        source = model_folder(folder, revision)
        return cls(source, read_kind(source, cls.kind))

    def save_pretrained(self, folder: Path | str) -> None:
        """Copy the files of the model to another folder, which is created if it is missing."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            if (self.folder / name).is_file() and target.resolve() != self.folder.resolve():
                shutil.copyfile(self.folder / name, target / name)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = False,
        token: str | None = None,
        commit_message: str | None = None,
        revision: str | None = None,
        create_pr: bool = False,
    ) -> str:
        """Upload to ``owner/name`` on the Hugging Face Hub, and return the URL of the commit.

        Parameters as for :func:`hf_model.hub.push_folder`.
        """
        return push_folder(
            self.folder,
            repo_id,
            private=private,
            token=token,
            commit_message=commit_message,
            revision=revision,
            create_pr=create_pr,
        )
