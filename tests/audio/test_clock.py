import pytest

from hf_model.audio.clock import format_clock, parse_clock


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("65", 65),
        ("1:05", 65),
        ("1:05.5", 65.5),
        ("0:01:05", 65),
        ("1:00:00.25", 3600.25),
        ("75:10", 4510),
        (".5", 0.5),
    ],
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert parse_clock(text) == seconds


@pytest.mark.parametrize("text", ["", "abc", "-3", "1:60", "1:75:00", "1:2:3:4", "1:", "nan", "1e3", "1:05pm"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time, expected seconds"):
        parse_clock(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (65, "1:05"), (65.5, "1:05.5"), (59.999, "1:00"), (3600.25, "1:00:00.25"), (4510, "1:15:10")],
)
def test_times_are_written(seconds: float, text: str) -> None:
    assert format_clock(seconds) == text
