"""Settings: accepted values, and error messages for the others."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hf_model.audio.grid import VOICE_STFT
from hf_model.config import ConfigError, check_choice, check_range, from_mapping, mask_passwords, to_mapping


@dataclass(frozen=True)
class Optimizer:
    rate: float = 1e-3
    name: str = "adam"

    def __post_init__(self) -> None:
        check_range("rate", self.rate, 0.0, 1.0)
        check_choice("name", self.name, ("adam", "sgd"))


@dataclass(frozen=True)
class Training:
    epochs: int
    bf16: bool = False
    limit: float | None = None
    corpora: tuple[str, ...] = ("made",)
    widths: list[int] = field(default_factory=lambda: [8, 16])
    weights: dict[str, float] = field(default_factory=dict)
    optimizer: Optimizer = field(default_factory=Optimizer)
    optimizers: tuple[Optimizer, ...] = ()


FULL = {
    "epochs": 3,
    "bf16": True,
    "limit": 2,
    "corpora": ["ssvd", "csd"],
    "widths": [4],
    "weights": {"onset": 1, "offset": 0.5},
    "optimizer": {"rate": 0.5, "name": "sgd"},
    "optimizers": [{"rate": 0.25}],
}


def test_all_kinds_of_fields_are_read():
    assert from_mapping(Training, FULL) == Training(
        epochs=3,
        bf16=True,
        limit=2.0,
        corpora=("ssvd", "csd"),
        widths=[4],
        weights={"onset": 1.0, "offset": 0.5},
        optimizer=Optimizer(0.5, "sgd"),
        optimizers=(Optimizer(0.25),),
    )


def test_int_is_converted_to_float():
    limit = from_mapping(Training, {"epochs": 1, "limit": 2}).limit
    assert isinstance(limit, float)


def test_defaults_are_used_for_missing_keys():
    assert from_mapping(Training, {"epochs": 1}) == Training(epochs=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": 1}, r"^unknown setting train\.epoch; known: bf16, corpora, epochs"),
        ({"epochs": "3"}, r"^train\.epochs is '3', expected int$"),
        ({"epochs": 3.0}, r"^train\.epochs is 3\.0, expected int$"),
        ({"epochs": True}, r"^train\.epochs is True, expected int$"),
        ({"epochs": None}, r"^train\.epochs is None, expected int$"),
        ({"bf16": 1}, r"^train\.bf16 is 1, expected bool$"),
        ({"limit": "3e-4"}, r"^train\.limit is '3e-4', expected float \(YAML reads 3e-4 as text: write 3\.0e-4\)$"),
        ({"limit": False}, r"^train\.limit is False, expected float$"),
        ({"corpora": "made"}, r"^train\.corpora is 'made', expected "),
        ({"corpora": ["made", 7]}, r"^train\.corpora\[1\] is 7, expected str$"),
        ({"widths": [1, 2.5]}, r"^train\.widths\[1\] is 2\.5, expected int$"),
        ({"weights": [1]}, r"^train\.weights is \[1\], expected dict"),
        ({"weights": {"onset": "x"}}, r"^train\.weights\.onset is 'x', expected float"),
        ({"optimizer": 3}, r"^train\.optimizer must be a mapping of settings, got int$"),
        ({"optimizer": {"lr": 1}}, r"^unknown setting train\.optimizer\.lr; known: name, rate$"),
        ({"optimizer": {"rate": 2}}, r"^train\.optimizer\.rate is 2\.0, allowed is 0\.0 to 1\.0$"),
        ({"optimizer": {"name": "lion"}}, r"^train\.optimizer\.name is 'lion', allowed is one of adam, sgd$"),
        ({"optimizers": [{}, {"rate": -1}]}, r"^train\.optimizers\[1\]\.rate is -1\.0, allowed is 0\.0 to 1\.0$"),
    ],
)
def test_invalid_settings_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(Training, {"epochs": 1} | change, "train")


def test_missing_setting_is_named_with_its_type():
    with pytest.raises(ConfigError, match=r"^missing setting train\.epochs \(int\)$"):
        from_mapping(Training, {}, "train")


def test_settings_must_be_a_mapping():
    with pytest.raises(ConfigError, match=r"^Training must be a mapping of settings, got list$"):
        from_mapping(Training, [1, 2])  # type: ignore[arg-type]


def test_yaml_reads_3e_4_as_text():
    loaded = yaml.safe_load("{epochs: 1, limit: 3e-4}")
    with pytest.raises(ConfigError, match=r"write 3\.0e-4"):
        from_mapping(Training, loaded)
    assert from_mapping(Training, yaml.safe_load("{epochs: 1, limit: 3.0e-4}")).limit == 3e-4


def test_settings_round_trip_through_yaml_and_json():
    settings = from_mapping(Training, FULL)
    assert from_mapping(Training, yaml.safe_load(yaml.safe_dump(to_mapping(settings)))) == settings
    assert from_mapping(Training, json.loads(json.dumps(to_mapping(settings)))) == settings


@given(
    st.builds(
        Training,
        epochs=st.integers(),
        bf16=st.booleans(),
        limit=st.none() | st.floats(allow_nan=False),
        corpora=st.lists(st.text()).map(tuple),
        widths=st.lists(st.integers()),
        weights=st.dictionaries(st.text(), st.floats(allow_nan=False)),
        optimizers=st.lists(st.builds(Optimizer, rate=st.floats(0, 1), name=st.just("sgd"))).map(tuple),
    )
)
def test_any_settings_round_trip(settings):
    assert from_mapping(Training, to_mapping(settings)) == settings


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        VOICE_STFT.hop_length = 1  # type: ignore[misc]


def test_nan_is_outside_every_range():
    with pytest.raises(ConfigError, match=r"rate is nan, allowed is 0 to 1"):
        check_range("rate", float("nan"), 0, 1)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ada:s3cret@example.org/a b", "https://***@example.org/a b"),
        ("at http://token@example.org:80/x?key=s3cret&b=1 failed", "at http://***@example.org:80/x?*** failed"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("postgresql://u:p@ss@host/db: refused", "postgresql://***@host/db: refused"),
        ("why? a=b", "why? a=b"),
        ("mail a@b.org", "mail a@b.org"),
    ],
)
def test_passwords_are_masked(text, shown):
    assert mask_passwords(text) == shown


def test_odd_keys_and_huge_numbers_are_config_errors():
    with pytest.raises(ConfigError, match="unknown setting 1; known"):
        from_mapping(Optimizer, {1: 2, "x": 3})
    with pytest.raises(ConfigError, match=r"is 1000000.*\.\.\., expected float"):
        from_mapping(Optimizer, {"rate": 10**400})
    with pytest.raises(ConfigError, match="rate is int, expected float"):
        from_mapping(Optimizer, {"rate": 10**6000})
