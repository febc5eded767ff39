"""Where the numbers of file formats are, and how their checksums are made new."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from random import Random

from benchmarks.robustness.mutations import Format, Site, with_extreme
from benchmarks.robustness.values import changed_csv, changed_json, changed_yaml

_MOST_SITES = 400


def _places(*fields: tuple[int, str]) -> list[Site]:
    return [Site(start, start + struct.calcsize(form), form) for start, form in fields]


def _digits(content: bytes, most: int = _MOST_SITES) -> list[Site]:
    """Every number that is written in digits."""
    found = re.finditer(rb"-?\d[\d.eE+-]*", content)
    return [Site(match.start(), match.end()) for match, _ in zip(found, range(most), strict=False)]


def png_sites(content: bytes) -> list[Site]:
    """Lengths of all chunks, and the fields of the header."""
    sites = _places((16, ">I"), (20, ">I"), (24, ">B"), (25, ">B"), (26, ">B"), (27, ">B"))
    sites += _places((28, ">B"))
    place = 8
    while place + 12 <= len(content):
        sites += _places((place, ">I"))
        place += 12 + struct.unpack_from(">I", content, place)[0]
    return sites


def png_repair(content: bytes) -> bytes:
    """New checksums of all chunks, as far as lengths allow."""
    changed, place = bytearray(content), 8
    while place + 12 <= len(content):
        length = struct.unpack_from(">I", content, place)[0]
        end = place + 8 + length
        if end + 4 > len(content):
            break
        changed[end : end + 4] = struct.pack(">I", zlib.crc32(content[place + 4 : end]))
        place = end + 4
    return bytes(changed)


def jpeg_sites(content: bytes) -> list[Site]:
    """Lengths of segments; size and components of the frame; sampling and tables."""
    sites, place = [], 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        mark, length = content[place + 1], struct.unpack_from(">H", content, place + 2)[0]
        sites += _places((place + 2, ">H"))
        if mark in (0xC0, 0xC1, 0xC2):
            sites += _places((place + 4, ">B"), (place + 5, ">H"), (place + 7, ">H"))
            sites += [Site(p, p + 1, ">B") for p in range(place + 9, place + 2 + length)]
        elif mark in (0xDA, 0xDD, 0xC4, 0xDB):
            sites += [Site(p, p + 1, ">B") for p in range(place + 4, place + 2 + min(length, 12))]
        if mark == 0xDA:
            break
        place += 2 + length
    return sites


def tiff_sites(content: bytes) -> list[Site]:
    """Pointers, and tag, type, count and value of every field of the first page."""
    start = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, start)[0]
    sites = _places((4, "<I"), (start, "<H"), (start + 2 + 12 * count, "<I"))
    for field in range(count):
        place = start + 2 + 12 * field
        sites += _places((place, "<H"), (place + 2, "<H"), (place + 4, "<I"), (place + 8, "<I"))
    return sites


def bmp_sites(content: bytes) -> list[Site]:
    """The fields of both headers."""
    fours = (2, 10, 14, 18, 22, 30, 34, 38, 42, 46, 50)
    return _places(*((start, "<I") for start in fours), (26, "<H"), (28, "<H"))


def webp_sites(content: bytes) -> list[Site]:
    """Sizes of the container and the chunk, and the first bytes of the picture."""
    return _places((4, "<I"), (16, "<I"), *((start, "<B") for start in range(20, 36)))


def las_sites(content: bytes) -> list[Site]:
    """The public header, the headers of records, and the table of compressed chunks."""
    sites = _places((24, "<B"), (25, "<B"), (94, "<H"), (96, "<I"), (100, "<I"), (104, "<B"))
    sites += _places((105, "<H"), *((107 + 4 * i, "<I") for i in range(6)))
    sites += _places(*((131 + 8 * i, "<d") for i in range(12)))
    header = struct.unpack_from("<H", content, 94)[0]
    if header >= 375:
        sites += _places((227, "<Q"), (235, "<Q"), (243, "<I"))
        sites += _places(*((247 + 8 * i, "<Q") for i in range(16)))
    place = header
    for _ in range(struct.unpack_from("<I", content, 100)[0]):
        sites += _places((place + 18, "<H"), (place + 20, "<H"))
        length = struct.unpack_from("<H", content, place + 20)[0]
        sites += [Site(p, p + 2, "<H") for p in range(place + 54, place + 54 + length - 1, 2)][:40]
        place += 54 + length
    points = struct.unpack_from("<I", content, 96)[0]
    if content[104] & 0x80:
        table = struct.unpack_from("<Q", content, points)[0]
        sites += 6 * _places((points, "<Q"), (table, "<I"), (table + 4, "<I"))
    return sites


def ply_sites(content: bytes) -> list[Site]:
    """Numbers of the header, and some of the body."""
    head = content.index(b"end_header\n") + len(b"end_header\n")
    sites = 6 * _digits(content[:head])
    if b"format ascii" in content[:head]:
        return sites + [Site(s.start + head, s.end + head) for s in _digits(content[head:], 60)]
    form = ">f" if b"big_endian" in content[:head] else "<f"
    sites += [Site(p, p + 4, form) for p in range(head, min(len(content) - 4, head + 240), 4)]
    return sites + [Site(p, p + 1, "<B") for p in range(head, min(len(content), head + 60))]


def npy_sites(content: bytes) -> list[Site]:
    """Version, length of the header and the numbers in it; some values."""
    sites = _places((6, "<B"), (7, "<B"), (8, "<H"))
    end = 10 + struct.unpack_from("<H", content, 8)[0]
    sites += 3 * [Site(s.start + 10, s.end + 10) for s in _digits(content[10:end])]
    return sites + [Site(p, p + 4, "<f") for p in range(end, min(len(content) - 4, end + 80), 4)]


def zip_sites(content: bytes) -> list[Site]:
    """The end record, and the central and local headers of members."""
    end = content.rindex(b"PK\5\6")
    sites = _places(*((end + p, "<H") for p in (4, 6, 8, 10, 20)))
    sites += _places((end + 12, "<I"), (end + 16, "<I"))
    place = content.find(b"PK\1\2")
    while place >= 0:
        sites += _places(*((place + p, "<H") for p in (6, 8, 10, 28, 30, 32, 34)))
        sites += _places(*((place + p, "<I") for p in (16, 20, 24, 42)))
        place = content.find(b"PK\1\2", place + 4)
    place = content.find(b"PK\3\4")
    while place >= 0:
        sites += _places(*((place + p, "<H") for p in (4, 6, 8, 26, 28)))
        sites += _places(*((place + p, "<I") for p in (14, 18, 22)))
        place = content.find(b"PK\3\4", place + 4)
    return sites


def npz_inner(content: bytes, random: Random) -> bytes:
    """Change the header of one array, or leave one out; the archive is valid."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(list(members))
    if random.random() < 0.1:
        del members[name]
    else:
        member = members[name]
        members[name] = with_extreme(member, random.choice(npy_sites(member)), random)
    return _zipped(members)


def zip_inner(content: bytes, random: Random) -> bytes:
    """Change bits of one member, or leave it out; the archive is valid."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(list(members))
    member = bytearray(members[name])
    if not member or random.random() < 0.2:
        del members[name]
    else:
        for _ in range(random.choice((1, 4, 32))):
            member[random.randrange(len(member))] ^= 1 << random.randrange(8)
        members[name] = bytes(member)
    return _zipped(members)


def _zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return file.getvalue()


def safetensors_sites(content: bytes) -> list[Site]:
    """The length of the header, and the numbers in it."""
    end = 8 + struct.unpack_from("<Q", content)[0]
    found = [Site(s.start + 8, s.end + 8) for s in _digits(content[8:end], 2000)]
    floats = [Site(p, p + 4, "<f") for p in range(end, min(len(content) - 4, end + 400), 4)]
    return 20 * _places((0, "<Q")) + found + floats


def safetensors_inner(content: bytes, random: Random) -> bytes:
    """Change one value of the header, or of the description in it; lengths are right."""
    size = struct.unpack_from("<Q", content)[0]
    head = json.loads(content[8 : 8 + size])
    about = head.get("__metadata__", {})
    if about and random.random() < 0.7:
        key = random.choice(list(about))
        about[key] = changed_json(about[key].encode(), random).decode("utf-8", "replace")
        new = json.dumps(head).encode()
    else:
        new = changed_json(content[8 : 8 + size], random)
    return struct.pack("<Q", len(new)) + new + content[8 + size :]


def float_sites(content: bytes) -> list[Site]:
    """Values of a file of float32."""
    return [Site(p, p + 4, "<f") for p in range(0, min(len(content) - 3, 400), 4)]


def whole_sites(content: bytes) -> list[Site]:
    """Values of a file of uint32."""
    return [Site(p, p + 4, "<I") for p in range(0, min(len(content) - 3, 400), 4)]


PNG = Format(png_sites, png_repair)
JPEG = Format(jpeg_sites)
TIFF = Format(tiff_sites)
BMP = Format(bmp_sites)
WEBP = Format(webp_sites)
LAS = Format(las_sites)
PLY = Format(ply_sites)
NPY = Format(npy_sites)
NPZ = Format(zip_sites, None, npz_inner)
ZIP = Format(zip_sites, None, zip_inner)
SAFETENSORS = Format(safetensors_sites, None, safetensors_inner)
FLOATS = Format(float_sites)
WHOLE = Format(whole_sites)
JSON = Format(_digits, None, changed_json)
YAML = Format(_digits, None, changed_yaml)
CSV = Format(_digits, None, changed_csv)
TEXT = Format(None, None, None)
