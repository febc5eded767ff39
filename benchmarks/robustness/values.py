"""Seeded damage to the content of JSON, YAML and CSV files whose syntax stays valid."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from random import Random
from typing import Any

import yaml

STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 255, 10**9, 2**31, 2**63, 10**30, -(10**30), 1.5, 1e300),
    *(float("nan"), float("inf"), float("-inf"), "", " ", "x", "0", "..", "/", "~", "../..", "nul"),
    *("[red]x[/red]", "<script>", "$x^2$", "=1+1", "a\nb", "a\0b", "\u202e", "x" * 3000, "é", "%s"),
    *(
        "{split}",
        "{0}",
        "[x",
        "*?",
        "\ud7ff",
        [],
        {},
        [None],
        [[]],
        {"a": None},
        [[[[1]]]],
        [0] * 99,
    ),
)
"""Values that a field may get in place of its own."""
_WORDS = (
    *("*a", "&a [*a]", "!!python/object/apply:os.getpid []", "!!binary aGk=", "2026-01-01", "0o17"),
    *(
        "1:30",
        "yes",
        "~",
        "<<: {a: b}",
        "? [a]",
        "!!set {a}",
        "!!int x",
        "|",
        "- - -",
        "'",
        '"',
        "{",
    ),
    *("12e03", "1_000", ".nan", ".inf", "0x1F", "\t", "# x", "---", "...", "%YAML 9.9", "@", "`"),
)


def changed(value: Any, random: Random) -> Any:
    """The value with one thing in it changed: replaced, left out, added, renamed or doubled."""
    places: list[tuple[Any, Any]] = []
    _collect(value, places)
    if not places:
        return random.choice(STRANGE)
    holder, key = random.choice(places)
    kind = random.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[random.choice(("x", "", "a.b", "[b]", "name "))] = random.choice(STRANGE)
    elif kind == 2 and isinstance(holder, dict):
        holder[str(key) + random.choice(("s", " ", "_"))] = holder.pop(key)
    elif kind == 3 and isinstance(holder, list):
        holder.insert(random.randrange(len(holder) + 1), random.choice((holder[0], *STRANGE)))
    else:
        holder[key] = random.choice(STRANGE)
    return value


def _collect(value: Any, places: list[tuple[Any, Any]]) -> None:
    if isinstance(value, dict):
        items: Any = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))[:8]
    else:
        return
    for key, one in items:
        places.append((value, key))
        _collect(one, places)


def changed_json(content: bytes, random: Random) -> bytes:
    """A JSON text with one value changed."""
    return json.dumps(changed(json.loads(content), random)).encode("utf-8", "surrogatepass")


def changed_yaml(content: bytes, random: Random) -> bytes:
    """A YAML text with one value changed, a doubled line, or a word of YAML in a place."""
    kind = random.randrange(4)
    if kind < 2:
        value = changed(yaml.safe_load(content), random)
        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode("utf-8", "replace")
    lines = content.decode().splitlines(keepends=True)
    place = random.randrange(len(lines))
    if kind == 2:
        lines.insert(random.randrange(len(lines) + 1), lines[place])
    else:
        key, colon, _ = lines[place].partition(":")
        lines[place] = f"{key}{colon} {random.choice(_WORDS)}\n"
    return "".join(lines).encode()


def changed_csv(content: bytes, random: Random) -> bytes:
    """A CSV text with a cell, row or column changed."""
    rows = list(csv.reader(io.StringIO(content.decode())))
    row = random.choice(rows[:1] + rows[-6:])
    kind = random.randrange(6)
    if kind == 0:
        rows.remove(row)
    elif kind == 1:
        rows.insert(random.randrange(len(rows) + 1), row)
    elif kind == 2:
        del row[random.randrange(len(row)) :]
    elif kind == 3:
        row += [str(random.choice(STRANGE))] * random.choice((1, 2, 50))
    elif kind == 4:
        row[random.randrange(len(row))] = "9" * 200_000
    else:
        row[random.randrange(len(row))] = str(random.choice(STRANGE))
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def changed_lines(words: Callable[[Random], str]) -> Callable[[bytes, Random], bytes]:
    """A change of one line of a text to ``words``."""

    def change(content: bytes, random: Random) -> bytes:
        lines = content.decode().splitlines()
        kind = random.randrange(4)
        place = random.randrange(len(lines))
        if kind == 0:
            del lines[place]
        elif kind == 1:
            lines.insert(place, lines[random.randrange(len(lines))])
        elif kind == 2:
            lines.insert(place, "")
        else:
            lines[place] = words(random)
        return "\n".join(lines).encode("utf-8", "replace")

    return change
