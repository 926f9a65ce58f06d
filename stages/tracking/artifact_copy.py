"""Copying of a run's files and logged models from one MLflow into another."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from stages.tracking.client import ARTIFACTS

ORIGIN_TAG = "merged.run_id"
"""Tag: the id of the original run, or of the original model."""

ARTIFACTS_TAG = "merged.artifacts"
"""Tag: a hash of all copied artifacts, so that they are not copied twice."""


@dataclass
class ArtifactCopy:
    """The files of one run.

    Attributes
    ----------
    source, target : MlflowClient
    source_uri : str
        Tracking URI of the source.
    run : mlflow.entities.Run
        In the source.
    n_files : int
        Files that were copied.
    """

    source: Any
    target: Any
    source_uri: str
    run: Any
    n_files: int = 0

    def copy_artifacts(self, copy: Any) -> None:
        """Copy all files of the run, unless the copy has the same ones."""
        folder = self._local_folder(self.run.info.artifact_uri)
        if folder is None:
            return
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        digest = _digest(files)
        if not files or copy.data.tags.get(ARTIFACTS_TAG) == digest:
            return
        for name, path in files.items():
            parent = Path(name).parent.as_posix()
            self.target.log_artifact(copy.info.run_id, str(path), None if parent == "." else parent)
        self.n_files += len(files)
        self.target.set_tag(copy.info.run_id, ARTIFACTS_TAG, digest)

    def copy_models(self, copy: Any) -> bool:
        """Copy the logged models that the copy of the run lacks, so that the target can serve them."""
        from mlflow.entities import LoggedModelOutput

        outputs = self.run.outputs.model_outputs if self.run.outputs else []
        known = {
            self.target.get_logged_model(one.model_id).tags.get(ORIGIN_TAG)
            for one in (copy.outputs.model_outputs if copy.outputs else [])
        }
        changed = False
        for one in outputs:
            model = self.source.get_logged_model(one.model_id)
            original = model.tags.get(ORIGIN_TAG, model.model_id)
            folder = self._local_folder(model.artifact_location)
            if original in known or folder is None or model.status != "READY":
                continue
            changed = True
            created = self.target.create_logged_model(
                copy.info.experiment_id,
                model.name,
                source_run_id=copy.info.run_id,
                tags={**model.tags, ORIGIN_TAG: original},
                params=model.params,
                model_type=model.model_type,
            )
            self.target.log_model_artifacts(created.model_id, str(folder))
            ids = {one.model_id: created.model_id, self.run.info.run_id: copy.info.run_id}
            self._replace_ids(created.model_id, folder, ids)
            self.target.finalize_logged_model(created.model_id, "READY")
            self.target.log_outputs(copy.info.run_id, [LoggedModelOutput(created.model_id, one.step)])
            self.n_files += sum(path.is_file() for path in folder.rglob("*"))
        return changed

    def _replace_ids(self, model_id: str, folder: Path, ids: dict[str, str]) -> None:
        """Replace the ids of model and run in the model's description: MLflow looks them up there."""
        if not (folder / "MLmodel").is_file():
            return
        text = (folder / "MLmodel").read_text(encoding="utf-8")
        for old, new in ids.items():
            text = text.replace(old, new)
        with TemporaryDirectory() as scratch:
            path = Path(scratch) / "MLmodel"
            path.write_text(text, encoding="utf-8")
            self.target.log_model_artifact(model_id, str(path))

    def _local_folder(self, uri: str) -> Path | None:
        """Return a folder with artifacts: on this disk, in the folder of a moved database, or downloaded."""
        parts = urlsplit(uri)
        if parts.scheme not in ("", "file"):
            import mlflow

            return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, tracking_uri=self.source_uri))
        written = Path(unquote(parts.path))
        if written.is_dir():
            return written
        database = Path(self.source_uri.removeprefix("sqlite:///"))
        _, found, rest = str(written).rpartition(f"/{ARTIFACTS}/")
        moved = database.with_name(ARTIFACTS) / rest
        return moved if found and moved.is_dir() else None


def _digest(files: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in files.items():
        with path.open("rb") as file:
            digest.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()
