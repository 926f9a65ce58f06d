"""Damage to files: what disks, networks, editors and attackers do to bytes, reproducible by a seed."""

from __future__ import annotations

import random
from collections.abc import Callable

INTEGERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
WORDS = (
    *("-1", "0", "nan", "inf", "-inf", "1e999", "9" * 400, "null", "true", "[]", "{}", '""', "", " ", "\0", "\ufeff"),
    *('"', "'", ";", ",", "\t", "\n", "\r", "\\", "]", "}", "[", "{", "&a", "*a", "!!python/object:os.system", "0x10"),
    *(
        "é".encode("latin-1").decode("latin-1"),
        "x" * 200_000,
        "../../etc/passwd",
        "1,5",
        "1970-13-45",
        "<<: *a",
        "- " * 500,
    ),
)


def mutate(data: bytes, generator: random.Random, *, is_text: bool = False) -> bytes:
    """Damage data once to four times."""
    operations = TEXT if is_text else BINARY
    changed = bytearray(data)
    for _ in range(generator.choice((1, 1, 1, 2, 2, 3, 4))):
        generator.choice(operations)(changed, generator)
    return bytes(changed[:1_000_000])


def _place(data: bytearray, generator: random.Random) -> int:
    """Choose a position, the first 200 bytes, where headers are, as often as all others."""
    return generator.randrange(max(1, min(len(data), 200) if generator.random() < 0.5 else len(data)))


def _length(generator: random.Random) -> int:
    return generator.choice((1, 2, 3, 4, 8, 16, 60, 300, 2000))


def _flip_bit(data: bytearray, generator: random.Random) -> None:
    if data:
        data[_place(data, generator)] ^= 1 << generator.randrange(8)


def _set_byte(data: bytearray, generator: random.Random) -> None:
    if data:
        data[_place(data, generator)] = generator.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, generator.randrange(256)))


def _set_integer(data: bytearray, generator: random.Random) -> None:
    place, width = _place(data, generator), generator.choice((2, 3, 4, 8))
    value = generator.choice((*INTEGERS, len(data), generator.randrange(1 << 32))) % (1 << 8 * width)
    data[place : place + width] = value.to_bytes(width, generator.choice(("little", "big")))


def _cut(data: bytearray, generator: random.Random) -> None:
    del data[_place(data, generator) :]


def _drop(data: bytearray, generator: random.Random) -> None:
    place = _place(data, generator)
    del data[place : place + _length(generator)]


def _repeat(data: bytearray, generator: random.Random) -> None:
    place, length = _place(data, generator), _length(generator)
    data[place:place] = data[place : place + length] * generator.choice((1, 1, 2, 20))


def _insert(data: bytearray, generator: random.Random) -> None:
    place = _place(data, generator)
    data[place:place] = generator.randbytes(_length(generator))


def _overwrite(data: bytearray, generator: random.Random) -> None:
    place, length = _place(data, generator), _length(generator)
    data[place : place + length] = bytes(length) if generator.random() < 0.5 else generator.randbytes(length)


def _move(data: bytearray, generator: random.Random) -> None:
    place, length = _place(data, generator), _length(generator)
    part = data[place : place + length]
    del data[place : place + length]
    to = _place(data, generator)
    data[to:to] = part


def _append_itself(data: bytearray, generator: random.Random) -> None:
    data += data[: generator.choice((len(data), _length(generator)))]


def _replace_word(data: bytearray, generator: random.Random) -> None:
    """Replace one word or number."""
    place = _place(data, generator)
    end = next((at for at in range(place, len(data)) if data[at] in b',;:\t\n"= {}[]'), len(data))
    data[place:end] = generator.choice(WORDS).encode("utf-8")


def _replace_line(data: bytearray, generator: random.Random) -> None:
    lines = bytes(data).split(b"\n")
    lines[generator.randrange(len(lines))] = generator.choice(WORDS).encode("utf-8")
    data[:] = b"\n".join(lines)


def _encode(data: bytearray, generator: random.Random) -> None:
    """Save in another encoding."""
    encoding = generator.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32", "latin-1"))
    data[:] = bytes(data).decode("latin-1").encode(encoding, "replace")


BINARY: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_flip_bit, _set_byte, _set_integer, _set_integer, _cut, _drop, _repeat, _insert, _overwrite, _move),
    _append_itself,
)
TEXT = (*BINARY, *(_replace_word,) * 8, _replace_line, _replace_line, _encode)
