"""What `hummingface analyse` says of a recording in which nobody sings."""

from __future__ import annotations

from hf_model.analysis.song import Analysis
from hf_model.cli.commands.analyse import as_text, as_values
from hf_model.music.arrangement import Arrangement, arrange

SILENT = "no singing was found: the piano is silent"


def test_without_singing_no_key_is_told() -> None:
    arranged = arrange([], 8.8, Arrangement())
    melody = {"sung_share": 0.0}
    analysis = Analysis(
        8.8, -16.0, "song", arranged.tempo, arranged.key, {"harp": 0.9}, melody, {}, {}, warnings=(SILENT,)
    )
    shown = as_text({"input": "band.wav", **as_values(analysis)})
    assert "  key          unknown: it is told from what is sung\n" in shown
    assert "C major" not in shown
    assert shown.endswith("  note: no singing was found"), "analyse plays no piano"
