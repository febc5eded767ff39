"""Files that are not what they seem: refused by name, or read as they were meant."""

import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from equiseg import foreign_files
from equiseg.data import DataError
from equiseg.data.images.decoded import image_size
from equiseg.data.images.masks import MaskFolder
from equiseg.data.images.opened import upright_size
from equiseg.data.images.reading import read_image, read_mask

H, W = 6, 8
VALUES = (np.add.outer(np.arange(H), np.arange(W)) % 3).astype(np.uint8)
PHOTO = np.random.default_rng(0).integers(0, 256, (H, W, 3), dtype=np.uint8)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(bits, rows, width, colour=0, *more):
    """A PNG of rows of bytes; Pillow writes no grey ones of 2 and 4 bits."""
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [chunk(b"IHDR", header), *more, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(
    data, *, bits=8, photometric=1, bands=1, compression=1, numbers=1, extra=None, size=(H, W)
):
    """A TIFF of one strip with tags as given."""
    wide = [bits] * bands
    tags = {256: [size[1]], 257: [size[0]], 258: wide, 259: [compression], 262: [photometric]}
    tags |= {273: [8], 277: [bands], 278: [size[0]], 279: [len(data)], 339: [numbers] * bands}
    tags |= {338: extra} if extra else {}
    after = 8 + len(data) + 2 + 12 * len(tags) + 4
    entries, long = b"", b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}H", *values)
        if len(packed) > 4:
            long += packed
            packed = struct.pack("<I", after + len(long) - len(packed))
        entries += struct.pack("<HHI", tag, 3, len(values)) + packed.ljust(4, b"\0")
    folder = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + folder + long


def encoded(array, form, **options):
    out = io.BytesIO()
    Image.fromarray(array).save(out, form, **options)
    return out.getvalue()


def written(folder, content, name="a.png"):
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_masks_of_few_bits_keep_their_values(tmp_path, bits):
    values = np.arange(64).reshape(4, 16) % (1 << bits)
    each = 8 // bits
    packed = [
        bytes(
            sum(int(v) << (8 - bits * (i + 1)) for i, v in enumerate(row[at : at + each]))
            for at in range(0, 16, each)
        )
        for row in values
    ]
    read = read_mask(written(tmp_path, png(bits, packed, 16)))
    assert (read.dtype, read.tolist()) == (np.uint8, values.tolist())
    if bits > 1:
        for photometric in (0, 1):  # white may be 0: the values are those in the file
            content = tiff(b"".join(packed), bits=bits, photometric=photometric, size=(4, 16))
            assert read_mask(written(tmp_path, content, "a.tif")).tolist() == values.tolist()


@pytest.mark.parametrize(("bits", "kind"), [(8, "<u1"), (16, "<u2")])
def test_a_mask_in_which_white_is_0_keeps_its_values(tmp_path, bits, kind):
    content = tiff(VALUES.astype(kind).tobytes(), bits=bits, photometric=0)
    np.testing.assert_array_equal(read_mask(written(tmp_path, content, "a.tif")), VALUES)


def test_masks_of_1_bit(tmp_path):
    fax = encoded(VALUES > 0, "TIFF", compression="group4")
    np.testing.assert_array_equal(read_mask(written(tmp_path, fax, "a.tif")), VALUES > 0)
    unclear = tiff(bytes(H), bits=1, photometric=0)
    with pytest.raises(DataError, match=r"b\.tif: a mask of 1 bit in which white is 0"):
        read_mask(written(tmp_path, unclear, "b.tif"))


def test_signed_bytes_are_not_read_as_large_values(tmp_path):
    content = tiff((VALUES - 1).astype(np.int8).tobytes(), numbers=2)
    with pytest.raises(DataError, match=r"mask values must be 0\.\.65535, got -1\.\.1"):
        read_mask(written(tmp_path, content, "a.tif"))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (encoded(VALUES * 9, "JPEG"), "JPEG"),
        (encoded(np.stack([VALUES * 9] * 3, -1), "WEBP"), "lossy WebP"),
        (encoded(PHOTO, "WEBP", exif=b"Exif\0\0II*\0" + bytes(8)), "lossy WebP"),
        (encoded(VALUES * 9, "TIFF", compression="jpeg"), "JPEG"),
    ],
)
def test_masks_compressed_with_loss_are_refused_whatever_their_name(tmp_path, content, kind):
    for name in ("a.png", "a.jpg"):
        with pytest.raises(DataError, match=rf"{name}: .* with loss \({kind}\).* as PNG"):
            read_mask(written(tmp_path, content, name))


def test_a_lossless_webp_is_refused_for_its_channels_only(tmp_path):
    content = encoded(np.stack([VALUES] * 3, -1), "WEBP", lossless=True)
    with pytest.raises(DataError, match=r"one channel .*got mode RGB"):
        read_mask(written(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tiff(VALUES.astype("<f4").tobytes(), bits=32, numbers=3), "floating-point values"),
        (tiff(VALUES.astype("<f8").tobytes(), bits=64, numbers=3), "a TIFF of 1 band.* 64 bit"),
        (tiff(bytes(H * W * 2), bands=2, extra=[0]), "one channel"),
        (tiff(bytes(H * W * 5), bands=5, extra=[0] * 4), r"a TIFF of 5 band\(s\) of 8 bit"),
    ],
)
def test_masks_of_other_numbers_or_bands_are_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=rf"a\.tif: .*{message}"):
        read_mask(written(tmp_path, content, "a.tif"))


def test_images_with_bands_that_nobody_would_see_are_refused(tmp_path):
    content = tiff(bytes(H * W * 5), bands=5, photometric=2, extra=[0, 0])
    with pytest.raises(DataError, match=r"has 5 bands, an image has 1 \(grey\) or 3"):
        read_image(written(tmp_path, content, "a.tif"))
    with_alpha = tiff(bytes([9] * H * W * 4), bands=4, photometric=2, extra=[2])
    assert read_image(written(tmp_path, with_alpha, "b.tif")).unique().tolist() == [9]


@pytest.mark.parametrize("read", [read_image, read_mask])
def test_files_of_several_pages_are_refused(tmp_path, read):
    pages = [Image.fromarray(VALUES), Image.fromarray(VALUES)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match=r"a\.tif: has several pages, only one"):
        read(tmp_path / "a.tif")
    frames = [Image.fromarray(PHOTO), Image.fromarray(255 - PHOTO)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match=r"a\.png: has 2 frames"):
        read(tmp_path / "a.png")


def test_smaller_copies_in_a_tiff_are_no_pages(tmp_path):
    page, smaller = Image.fromarray(VALUES), Image.fromarray(VALUES[::2, ::2])
    smaller.encoderinfo = {"tiffinfo": {254: 1}}
    page.save(tmp_path / "a.tif", save_all=True, append_images=[smaller])
    with Image.open(tmp_path / "a.tif") as both:
        both.seek(1)
        if both.tag_v2.get(254) != 1:
            pytest.skip("this Pillow does not write the tag of a smaller copy")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), VALUES)


def test_any_flipped_bit_of_a_png_is_noticed(tmp_path):
    content = encoded(np.repeat(np.repeat(VALUES, 4, 0), 4, 1), "PNG")
    right = read_mask(written(tmp_path, content))
    for place in range(8, len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(DataError, match=r"b\.png: "):
            read_mask(written(tmp_path, damaged, "b.png"))
    with pytest.raises(DataError, match=r"b\.png: the PNG ends early"):
        read_image(written(tmp_path, content[:-12], "b.png"))
    assert right.shape == (4 * H, 4 * W)


def turned_photo(folder, orientation, form="JPEG", **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return written(folder, encoded(PHOTO, form, exif=exif, **options), f"a{orientation}")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_photographs_are_read_as_viewers_show_them(tmp_path, orientation, form):
    right = {
        1: PHOTO,
        2: PHOTO[:, ::-1],
        3: PHOTO[::-1, ::-1],
        4: PHOTO[::-1],
        5: PHOTO.transpose(1, 0, 2),
        6: np.rot90(PHOTO, -1),
        7: PHOTO[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(PHOTO, 1),
    }[orientation]
    lossless = {"WEBP": {"lossless": True}}.get(form, {})
    file = turned_photo(tmp_path, orientation, form, **lossless)
    read = read_image(file).permute(1, 2, 0).numpy()
    assert read.shape == right.shape
    if form != "JPEG":
        np.testing.assert_array_equal(read, right)
    size = upright_size(file)
    assert (size.height, size.width) == right.shape[:2]
    assert size.fits_both_ways == (orientation in (2, 3, 4))


def test_12_bits_of_a_tiff_are_the_whole_range(tmp_path):
    values = np.linspace(0, 4095, H * W).astype(int)
    pairs = values.reshape(-1, 2)
    packed = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs.tolist())
    file = written(tmp_path, tiff(packed, bits=12), "a.tif")
    np.testing.assert_array_equal(read_image(file)[0].flatten(), values >> 4)
    np.testing.assert_array_equal(read_mask(file).flatten(), values)


def test_12_bit_values_in_a_16_bit_file_are_told(tmp_path):
    file = written(tmp_path, encoded(np.full((H, W), 4000, np.uint16), "PNG"))
    with pytest.warns(UserWarning, match=r"without a value above 4095.*multiply .* by 16"):
        assert read_image(file).unique().tolist() == [15]


def test_16_bit_photographs_in_which_white_is_0_are_inverted(tmp_path):
    content = tiff(np.full((H, W), 65535, "<u2").tobytes(), bits=16, photometric=0)
    assert read_image(written(tmp_path, content, "a.tif")).unique().tolist() == [0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of Unix")
@pytest.mark.parametrize("read", [read_image, read_mask])
def test_a_pipe_named_like_an_image_is_refused_at_once(tmp_path, read):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: not a readable image \(is a named pipe"):
        read(tmp_path / "a.png")


def test_images_beyond_the_memory_of_one_file_are_refused_before_decoding(tmp_path, monkeypatch):
    file = written(tmp_path, encoded(np.zeros((400, 500, 3), np.uint8), "PNG"))
    monkeypatch.setattr(foreign_files.check_memory, "__defaults__", (1_000_000,))
    with pytest.raises(DataError, match=r"a\.png: an image of 500x400 pixels needs .*cut it into"):
        read_image(file)
    monkeypatch.undo()
    assert read_image(file).shape == (3, 400, 500)


def test_an_image_of_one_pixel_may_be_written_to(tmp_path, recwarn):
    image = read_image(written(tmp_path, encoded(PHOTO[:1, :1], "PNG")))
    image += 1
    assert not recwarn


def test_hidden_masks_are_not_counted(tmp_path):
    for name in ("a.png", "._a.png", ".ipynb_checkpoints/a-checkpoint.png", "__MACOSX/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        written(tmp_path, encoded(VALUES, "PNG"), name)
    (tmp_path / "sub").mkdir()
    written(tmp_path, encoded(VALUES, "PNG"), "sub/c.png")
    assert MaskFolder(tmp_path).files == ["a.png", "sub/c.png"]


def test_a_large_scan_is_opened_without_a_warning(tmp_path):
    Image.new("1", (9500, 9500)).save(tmp_path / "scan.png")  # Pillow warns from 9459 x 9459 on
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert image_size(tmp_path / "scan.png") == (9500, 9500)
