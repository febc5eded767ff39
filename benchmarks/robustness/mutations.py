"""Seeded damage to the bytes of a file.

A mutation is a pure function of the bytes, the places of its numbers and a random generator.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

KINDS = ("bits", "bytes", "cut", "insert", "double", "drop", "number", "swap", "empty", "inner")
"""Flipped bits; a run of bytes overwritten; the end cut off; bytes inserted; a part repeated; a
part left out; a number set to an extreme; the content of another file; nothing; the content of a
member or value, with checksums made new."""
_WEIGHTS = (20, 10, 14, 6, 6, 6, 24, 3, 1, 20)


class Site(NamedTuple):
    """A number in a file.

    Attributes:
        start: Its first byte.
        end: The byte after it.
        form: Of ``struct``, as "<I"; empty where it is written in digits.
    """

    start: int
    end: int
    form: str = ""


class Format(NamedTuple):
    """What is known of a file.

    Attributes:
        sites: Finds the numbers of a header; None where there are none.
        repair: Makes checksums of a file new after a number has changed.
        inner: Changes the content and writes a file with valid checksums.
    """

    sites: Callable[[bytes], list[Site]] | None = None
    repair: Callable[[bytes], bytes] | None = None
    inner: Callable[[bytes, Random], bytes] | None = None


def mutate(
    content: bytes, form: Format, others: Sequence[bytes], random: Random
) -> tuple[str, bytes]:
    """The name of a mutation and the changed content.

    Args:
        content: Of the good file.
        form: Its format.
        others: Contents of other files, to be swapped for it.
        random: Decides everything.
    """
    while True:
        kind = random.choices(KINDS, _WEIGHTS)[0]
        if kind == "number" and form.sites is None:
            continue
        if kind == "inner" and form.inner is None:
            continue
        name, changed = _apply(kind, content, form, others, random)
        if changed != content:
            return name, changed


def _apply(
    kind: str, content: bytes, form: Format, others: Sequence[bytes], random: Random
) -> tuple[str, bytes]:
    size = len(content)
    begin = random.randrange(size) if random.random() < 0.6 else random.randrange(min(size, 512))
    length = min(random.choice((1, 2, 4, 8, 16, 64, 256, 4096)), max(1, size // 2))
    if kind == "bits":
        changed = bytearray(content)
        for _ in range(random.choice((1, 1, 1, 2, 8))):
            changed[random.randrange(size)] ^= 1 << random.randrange(8)
        return kind, bytes(changed)
    if kind == "bytes":
        some = _bytes(min(length, size - begin), random)
        return kind, content[:begin] + some + content[begin + len(some) :]
    if kind == "cut":
        near = random.random() < 0.3
        return kind, content[: size - random.randint(1, 16) if near else random.randrange(size)]
    if kind == "insert":
        return kind, content[:begin] + _bytes(length, random) + content[begin:]
    if kind == "double":
        return kind, content[: begin + length] + content[begin:]
    if kind == "drop":
        return kind, content[:begin] + content[begin + length :]
    if kind == "swap":
        return kind, random.choice(others) if others else b""
    if kind == "empty":
        return kind, b""
    if kind == "inner":
        assert form.inner is not None
        return kind, form.inner(content, random)
    assert form.sites is not None
    sites = form.sites(content)
    if not sites:
        return kind, content
    changed_number = with_extreme(content, random.choice(sites), random)
    if form.repair is not None and random.random() < 0.6:
        return "repaired", form.repair(changed_number)
    return kind, changed_number


def _bytes(length: int, random: Random) -> bytes:
    kind = random.randrange(4)
    if kind == 0:
        return bytes(length)
    return b"\xff" * length if kind == 1 else random.randbytes(length)


def with_extreme(content: bytes, site: Site, random: Random) -> bytes:
    """The content with one number replaced."""
    old = content[site.start : site.end]
    if not site.form:
        return content[: site.start] + _digits(old, random) + content[site.end :]
    (value,) = struct.unpack(site.form, old)
    width = 8 * (site.end - site.start)
    if site.form[-1] in "fd":
        floats = (0.0, -1.0, float("nan"), float("inf"), -float("inf"), 1e300, 1e-300, 1e9)
        one = random.choice(floats)
        if site.form[-1] == "f" and abs(one) == 1e300:
            one = 3e38
        new = struct.pack(site.form, one)
    else:
        top = (1 << width) - 1
        choices = (0, 1, top, top >> 1, (top >> 1) + 1, top - 1, value + 1, value - 1, 2 * value)
        more = (value * 1000, 1 << (width // 2), 65535, 255, 1 << 28, 10**9, random.getrandbits(64))
        new_value = random.choice((*choices, *more)) & top
        new = new_value.to_bytes(width // 8, "big" if site.form[0] == ">" else "little")
    return content[: site.start] + new + content[site.end :]


def _digits(old: bytes, random: Random) -> bytes:
    choices = (
        *(b"0", b"-1", b"1", b"4294967295", b"2147483648", b"18446744073709551615", b"9" * 30),
        *(b"1" + b"0" * 400, b"nan", b"inf", b"-inf", b"1e400", b"1e9", b"1.5", b"", b"x", b"0x10"),
        *(b"1_000", "٣".encode(), b"9" * 5000, b" ", b"true", b"null", b"1000000000", old + b"0"),
        *(old[:-1], b"-" + old, old + b".0", b"\x00"),
    )
    return random.choice(choices)
