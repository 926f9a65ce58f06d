"""Note scores of a transcriber on recordings that it never met.

    python bench/held_out.py --mirror FOLDER [--model DIR]

FOLDER has the layout of the public sources (``ssvd/``, ``hust_solfege/``, ``csd/``). Measured are the recordings of
SSVD singers that the profile ``full`` holds out, with labels as published and as the align stage corrects them, and the
clip of CSD: mean over recordings, 95 % bootstrap interval, median signed onset bias.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from hf_model.align import AlignSettings, align
from hf_model.audio import read_audio, resample, to_mono
from hf_model.corpora import read
from hf_model.fetch import DownloadSettings, download
from hf_model.metrics import bootstrap_mean, note_scores
from hf_model.pairs import read_manifest
from hf_model.pretrained import WEIGHTS
from hf_model.records import VoiceRecord
from hf_model.transcriber import Transcriber

HELD_OUT = ("ssvd-1072", "ssvd-1099")
CORPORA = ("ssvd", "hust_solfege", "csd")
SCORES = ("con", "conp", "conpoff")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mirror", required=True, help="folder or URL with the layout of the public sources")
    parser.add_argument("--model", default=str(WEIGHTS / "transcriber"), help="a transcriber's folder")
    parser.add_argument("--all", action="store_true", help="every SSVD recording: for models that saw none of them")
    arguments = parser.parse_args()
    model = Transcriber.from_pretrained(arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        raw, aligned = Path(folder) / "raw", Path(folder) / "aligned"
        raw.mkdir()
        accepted = ("CC BY-NC-SA 4.0",)
        download(DownloadSettings(CORPORA, accepted), raw, Path(folder) / "cache", arguments.mirror)
        shutil.rmtree(Path(folder) / "cache", ignore_errors=True)
        published = {
            (record.corpus, record.pair_id): record
            for name in ("ssvd", "csd")
            for record in read(name, raw)
            if isinstance(record, VoiceRecord) and record.notes
        }
        shutil.rmtree(raw / "hust_solfege")
        align(raw, aligned, AlignSettings(render_piano=False), os.cpu_count() or 1)
        corrected = {(pair.corpus, pair.pair_id): pair for pair in read_manifest(aligned / "ssvd/manifest.parquet")}
        rows: dict[str, list[dict[str, float]]] = {"ssvd, corrected": [], "ssvd, as published": [], "csd": []}
        seconds = spent = 0.0
        for (corpus, pair_id), record in published.items():
            if corpus == "ssvd" and not arguments.all and record.singer not in HELD_OUT:
                continue
            audio, sample_rate = read_audio(record.audio_path)
            voice = resample(to_mono(audio), sample_rate, 16000)
            start = time.perf_counter()
            found = model.transcribe(voice)
            spent += time.perf_counter() - start
            seconds += len(voice) / 16000
            name = "ssvd, as published" if corpus == "ssvd" else corpus
            rows[name].append(note_scores(list(record.notes or ()), found))
            if corpus == "ssvd":
                rows["ssvd, corrected"].append(note_scores(list(corrected[corpus, pair_id].notes), found))
    for name, scores in rows.items():
        print(f"{name}: {len(scores)} recordings")
        for key in SCORES:
            mean, low, high = bootstrap_mean([score[key] for score in scores], 1000)
            print(f"  {key:8} {mean:.3f} [{low:.3f}, {high:.3f}]")
        for key, scale, unit in (("onset_bias", 1000, "ms"), ("octave_error_share", 100, "%")):
            print(f"  {key} {scale * float(np.nanmedian([score[key] for score in scores])):.1f} {unit} (median)")
    print(f"{seconds:.0f} s heard in {spent:.1f} s: {seconds / spent:.0f} times real time")


if __name__ == "__main__":
    main()
