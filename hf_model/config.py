"""Settings: frozen dataclasses from plain mappings, with checks of keys, types and ranges."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

MAX_PRINTED = 200
"""Characters of a wrong value that a message shows."""


class ConfigError(ValueError):
    """A setting is unknown, missing, of the wrong type or out of range."""


def from_mapping(cls: type[T], mapping: Mapping[str, Any], where: str = "") -> T:
    """Build a settings dataclass from a plain mapping (YAML or JSON).

    Parameters
    ----------
    cls : dataclass type
        Settings class; fields may be scalars, optional, tuples, lists, dicts and nested dataclasses.
    mapping : Mapping
        Field names to plain values.
    where : str
        Location of the mapping, for error messages ("train.transcriber").

    Raises
    ------
    ConfigError
        For an unknown or missing key, a wrong type, or a value that the class refuses.
    """
    prefix = f"{where}." if where else ""
    if not isinstance(mapping, Mapping):
        msg = f"{where or cls.__name__} must be a mapping of settings, got {type(mapping).__name__}"
        raise ConfigError(msg)
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(mapping) - set(fields), key=str)
    if unknown:
        msg = f"unknown setting {prefix}{unknown[0]}; known: {', '.join(sorted(fields))}"
        raise ConfigError(msg)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in mapping:
            values[name] = _checked(hints[name], mapping[name], prefix + name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            msg = f"missing setting {prefix}{name} ({_type_name(hints[name])})"
            raise ConfigError(msg)
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from None


def to_mapping(settings: Any) -> dict[str, Any]:
    """Convert a settings dataclass to plain values for YAML and JSON (tuples become lists)."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return value

    return typing.cast("dict[str, Any]", plain(dataclasses.asdict(settings)))


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Check that a value lies in the closed range [low, high].

    Raises
    ------
    ConfigError
        With the setting, its value and the allowed range.
    """
    if not low <= value <= high:
        raise ConfigError(f"{name} is {value}, allowed is {low} to {high}")


def mask_passwords(text: str) -> str:
    """Replace user names, passwords and queries in the addresses of a text, for messages."""
    return re.sub(r"(?<=\?)[^\s?]*=[^\s]*", "***", re.sub(r"(?<=://)[^/\s]*@", "***@", text))


def check_choice(name: str, value: str, choices: typing.Iterable[str]) -> None:
    """Check that a value is one of the choices.

    Raises
    ------
    ConfigError
        With the setting, its value and the choices.
    """
    allowed = list(choices)
    if value not in allowed:
        raise ConfigError(f"{name} is {value!r}, allowed is one of {', '.join(allowed)}")


def _type_name(hint: Any) -> str:
    return getattr(hint, "__name__", None) or str(hint)


def _refuse(where: str, value: Any, hint: Any) -> typing.NoReturn:
    extra = " (YAML reads 3e-4 as text: write 3.0e-4)" if hint is float and isinstance(value, str) else ""
    raise ConfigError(f"{where} is {_shortened(value)}, expected {_type_name(hint)}{extra}")


def _shortened(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # a whole number with thousands of digits
        text = type(value).__name__
    return text if len(text) <= MAX_PRINTED else f"{text[:MAX_PRINTED]}..."


def _checked(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        rest = [option for option in options if option is not type(None)]
        return _checked(rest[0], value, where) if len(rest) == 1 else _refuse(where, value, hint)
    if origin is tuple or origin is list:
        if not isinstance(value, (list, tuple)):
            _refuse(where, value, hint)
        item_hint = typing.get_args(hint)[0]
        items = [_checked(item_hint, item, f"{where}[{index}]") for index, item in enumerate(value)]
        return tuple(items) if origin is tuple else items
    if origin is dict:
        if not isinstance(value, Mapping):
            _refuse(where, value, hint)
        item_hint = typing.get_args(hint)[1]
        return {key: _checked(item_hint, item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return from_mapping(typing.cast("type[Any]", hint), value, where)
    return _checked_scalar(hint, value, where)


def _checked_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            _refuse(where, value, hint)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        _refuse(where, value, hint)
    return value
