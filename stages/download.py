"""The download stage: corpora to data/raw/<corpus>/ in their published layout, and data/raw/corpora.json.

The source is environment, not a parameter: ``HUMMINGFACE_MIRROR`` is the folder or the address of a mirror. Downloads,
complete or partial, stay in data/scratch/downloads, so that they are not fetched again after a failure.
"""

from __future__ import annotations

from pathlib import Path

from hf_model.corpora.catalogue import DownloadSettings, get
from hf_model.corpora.download import download
from hf_model.corpora.own import register_own
from hf_model.files import write_json
from stages import _run


def main() -> None:
    """Run the stage."""
    register_own()
    settings = _run.settings("download", DownloadSettings)
    with _run.output("data/raw") as folder:
        fetched = download(settings, folder, cache=Path("data/scratch/downloads"))
        report = {}
        for name, result in fetched.items():
            corpus = get(name)
            print(f"{name}: {result.files} files, {result.bytes / 1e6:.1f} MB, {corpus.licence}")
            if result.left_out:
                print(f"{name}: {len(result.left_out)} files left out, their licence is not in download.accept_license")
            if result.unverified:
                print(f"{name}: {result.unverified} files have no known hash and were not verified")
            for archive, digest in result.archives.items():
                print(f"{name}: the sha256 of {archive} is {digest}; compare it with that of another download")
            report[name] = {
                "title": corpus.title,
                "licence": corpus.licence,
                "citation": corpus.citation,
                "homepage": corpus.homepage,
                "role": corpus.role,
                "measure_only": corpus.measure_only,
                "files": result.files,
                "bytes": result.bytes,
                "left_out": result.left_out,
                "unverified_archives": result.archives,
            }
        write_json(folder / "corpora.json", report, digest=True)


if __name__ == "__main__":
    _run.main(main)
