"""Images in every form people have them in."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peak_memory import peak_growth
from PIL import Image, ImageOps
from strategies import seeds

from lightsam_plugins import image_files, pixel_values
from lightsam_plugins.errors import ImageError
from lightsam_plugins.images import load_image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (7, 11), np.uint8)
RGB = RNG.integers(0, 256, (7, 11, 3), np.uint8)
RGBA = RNG.integers(0, 256, (7, 11, 4), np.uint8)
DEEP = RNG.integers(0, 65536, (7, 11)).astype(np.uint16)


def grey(values: Any) -> np.ndarray:
    """(H, W) as (H, W, 3) uint8."""
    return np.repeat(np.asarray(values).astype(np.uint8)[..., None], 3, axis=2)


DEEP_GREY = grey(np.rint(DEEP / 257))
ARRAYS = {
    "uint8": (GREY, grey(GREY)),
    "uint8-1": (GREY[..., None], grey(GREY)),
    "rgb": (RGB, RGB),
    "rgba": (RGBA, RGBA[..., :3]),
    "mirrored": (RGB[:, ::-1], RGB[:, ::-1]),
    "bool": (GREY > 99, grey(np.where(GREY > 99, 255, 0))),
    "uint16": (DEEP, DEEP_GREY),
    "uint16-big-endian": (DEEP.astype(">u2"), DEEP_GREY),
    "int64": (RGB.astype(np.int64), RGB),
    "int32-deep": (DEEP.astype(np.int32), DEEP_GREY),
    "float32": ((GREY / 255).astype(np.float32), grey(GREY)),
    "float64-rgba": (RGBA / 255, RGBA[..., :3]),
    "float16": (np.float16([[0, 0.5, 1]]), grey([[0, 128, 255]])),
    "float-rounding": (np.array([[-1e-6, 1 + 1e-6]]), grey([[0, 255]])),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays of each type and form become RGB bytes by the documented scaling, in whatever strips."""
    array, expected = ARRAYS[name]
    for strip in (1 << 20, 5):
        monkeypatch.setattr(pixel_values, "STRIP", strip)

        image = load_image(array)

        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert np.array_equal(image, expected)


def test_no_copy() -> None:
    """An array that has the right form already is used as it is, and no array is changed."""
    before = RGB.copy()

    assert load_image(RGB) is RGB
    assert np.array_equal(RGB, before)


@given(seeds, st.sampled_from([np.uint8, np.uint16, np.float32, np.float64]))
def test_scaling_keeps_order(seed: int, dtype: Any) -> None:
    """Brighter stays at least as bright, black is 0 and white 255, in every type."""
    white = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    values = (np.random.default_rng(seed).random(50) * white).astype(dtype)
    values[:2] = 0, white

    bytes_ = load_image(np.sort(values)[None])[0, :, 0]

    assert bytes_[0] == 0
    assert bytes_[-1] == 255
    assert (np.diff(bytes_.astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5, np.uint8), r"shape of an image: expected \(H, W\).*got \(5,\)"),
        (np.zeros((3, 20, 30), np.uint8), r"got \(3, 20, 30\).*transpose\(1, 2, 0\)"),
        (np.zeros((4, 5, 2), np.uint8), r"shape of an image.*got \(4, 5, 2\)"),
        (np.zeros((1, 4, 5, 3), np.uint8), "shape of an image"),
        (np.zeros((0, 5, 3), np.uint8), r"no pixels.*got \(0, 5, 3\)"),
        (np.zeros((5, 0), np.float32), "no pixels"),
        (np.array([[0.0, 255.0]]), r"float image outside 0..1.*got 0..255.*astype\(np.uint8\)"),
        (np.array([[-1.0, 1.0]]), r"outside 0..1.*got -1..1.*array.min"),
        (np.array([[0.0, 1.01]]), "outside 0..1"),
        (np.array([[0.0, np.nan]]), "NaN or infinity.*nan_to_num"),
        (np.array([[0.0, np.inf]]), "NaN or infinity"),
        (np.array([[-1, 5]]), r"int64 values outside.*0..255, or 0..65535, got -1..5.*uint8"),
        (np.array([[0, 65536]], np.uint32), "uint32 values outside.*got 0..65536"),
        (np.zeros((2, 2), complex), "type of an image.*got complex128"),
        (np.array([["a"]]), "type of an image"),
        ([[1, 2], [3, 4]], "not an image: expected a numpy array, a PIL image or a path, got list"),
        (None, "not an image.*got NoneType"),
        (torch.zeros(2, 2), r"not an image.*got Tensor.*cpu\(\).numpy"),
    ],
)
def test_bad_arrays(array: Any, message: str) -> None:
    """What is no image is refused by an error that says what it is instead."""
    with pytest.raises(ImageError, match=message):
        load_image(array)


def palette() -> Image.Image:
    """A palette image with one alpha value per colour, of which PIL warns when it drops them."""
    image = Image.fromarray(RGB).quantize(16)
    image.info["transparency"] = bytes(range(0, 160, 10))
    return image


FILES: dict[str, tuple[str, Image.Image, np.ndarray]] = {
    "grey": ("png", Image.fromarray(GREY), grey(GREY)),
    "rgb": ("png", Image.fromarray(RGB), RGB),
    "rgba": ("png", Image.fromarray(RGBA), RGBA[..., :3]),
    "grey-alpha": ("png", Image.fromarray(RGBA[..., :2], "LA"), grey(RGBA[..., 0])),
    "palette": ("png", palette(), np.asarray(palette().convert("RGBA"))[..., :3]),
    "one-bit": ("png", Image.fromarray(GREY > 99), grey(np.where(GREY > 99, 255, 0))),
    "16-bit-png": ("png", Image.fromarray(DEEP), DEEP_GREY),
    "16-bit-tiff": ("tiff", Image.fromarray(DEEP), DEEP_GREY),
    "32-bit-tiff": ("tiff", Image.fromarray(DEEP.astype(np.int32)), DEEP_GREY),
    "float-tiff": ("tiff", Image.fromarray(GREY.astype(np.float32) / 255), grey(GREY)),
    "cmyk": ("tiff", Image.fromarray(RGBA, "CMYK"), np.asarray(Image.fromarray(RGBA, "CMYK").convert("RGB"))),
    "bmp": ("bmp", Image.fromarray(RGB), RGB),
    "webp": ("webp", Image.fromarray(RGB), RGB),
    "one-pixel": ("png", Image.fromarray(RGB[:1, :1]), RGB[:1, :1]),
}


@pytest.mark.parametrize("name", FILES)
def test_files(name: str, tmp_path: Path) -> None:
    """Files of each mode, by path as text or Path, and the same image from PIL's hands, give RGB bytes."""
    suffix, image, expected = FILES[name]
    path = tmp_path / f"image.{suffix}"
    image.save(path, **({"lossless": True} if suffix == "webp" else {}))

    assert np.array_equal(load_image(path), expected)
    assert np.array_equal(load_image(str(path)), expected)
    assert np.array_equal(load_image(image), expected)


def test_jpeg_cmyk(tmp_path: Path) -> None:
    """A CMYK JPEG is read as PIL reads it."""
    Image.fromarray(RGBA, "CMYK").save(tmp_path / "image.jpg")

    expected = np.asarray(Image.open(tmp_path / "image.jpg").convert("RGB"))
    assert np.array_equal(load_image(tmp_path / "image.jpg"), expected)


def test_animation(tmp_path: Path) -> None:
    """Of an animated file the first frame is taken, of an open PIL animation the current one."""
    first, second = (Image.new("RGB", (5, 4), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "image.gif", save_all=True, append_images=[second])

    assert (load_image(tmp_path / "image.gif") == (255, 0, 0)).all()
    with Image.open(tmp_path / "image.gif") as animation:
        animation.seek(1)
        assert (load_image(animation) == (0, 0, 255)).all()
        assert animation.tell() == 1


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All eight EXIF orientations come out the right way up, from files and from PIL images."""
    monkeypatch.setattr(pixel_values, "STRIP", 30)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(RGB).save(path, exif=exif)

    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
        from_pil = load_image(image)

    assert expected.shape[:2] == ((7, 11) if orientation < 5 else (11, 7))
    assert np.array_equal(load_image(path), expected)
    assert np.array_equal(from_pil, expected)


def test_orientation_by_hand(tmp_path: Path) -> None:
    """Orientation 6 (a phone held upright): what is stored top left is shown top right."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(tmp_path / "image.png", exif=exif)

    assert load_image(tmp_path / "image.png")[0, -1].tolist() == RGB[0, 0].tolist()


def test_pil_image_is_left_alone() -> None:
    """Neither pixels nor notes of a PIL image are changed."""
    image = palette()
    before, notes = image.tobytes(), dict(image.info)

    load_image(image)

    assert (image.mode, image.tobytes(), image.info) == ("P", before, notes)


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty.png": (b"", "the file is empty"),
    "notes.txt": (b"Dear reader, this is no image.", "not an image file that PIL knows: expected PNG"),
    "header.png": (b"\x89PNG\r\n\x1a\n", "broken, cut off|not an image file"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(name: str, tmp_path: Path) -> None:
    """A file without an image is refused by an error that names it and says why."""
    content, message = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ImageError, match=f"cannot read the image .*{name}.*({message})"):
        load_image(tmp_path / name)


def test_no_file(tmp_path: Path) -> None:
    """A missing file, a folder and an impossible name are told apart."""
    with pytest.raises(ImageError, match=r"missing\.png.*No such file"):
        load_image(tmp_path / "missing.png")
    with pytest.raises(ImageError, match=r"cannot read the image.*it is a folder"):
        load_image(tmp_path)
    with pytest.raises(ImageError, match=r"cannot read the image.*null"):
        load_image("a\0b.png")


@pytest.mark.parametrize("form", ["png", "jpeg", "tiff", "gif", "webp", "bmp"])
def test_truncated(form: str, tmp_path: Path) -> None:
    """A file that is cut off is refused, wherever it was cut, and never by another error."""
    whole = io.BytesIO()
    Image.fromarray(np.tile(RGB, (9, 9, 1))).save(whole, form)
    path = tmp_path / "cut"
    for part in (0.01, 0.1, 0.5, 0.9):
        path.write_bytes(whole.getvalue()[: max(1, int(len(whole.getvalue()) * part))])
        with pytest.raises(ImageError, match=r"cannot read the image .*cut"):
            load_image(path)


@given(data=st.data())
def test_damaged(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file with a few wrong bytes gives an image or an `ImageError`, nothing else."""
    whole = io.BytesIO()
    Image.fromarray(RGB).save(whole, data.draw(st.sampled_from(["png", "jpeg", "gif", "bmp"])))
    content = bytearray(whole.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(bytes(content))

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(ImageError):
        patch.setattr(image_files, "MAX_PIXELS", 1 << 20)
        assert load_image(path).shape[2] == 3


def test_values_of_a_file_out_of_range(tmp_path: Path) -> None:
    """A float file outside 0..1 is refused by an error that names the file and the range."""
    Image.fromarray(np.float32([[0, 400]])).save(tmp_path / "heights.tiff")

    with pytest.raises(ImageError, match=r"heights\.tiff.*float image outside 0..1.*got 0..400"):
        load_image(tmp_path / "heights.tiff")


def test_pil_image_without_pixels() -> None:
    """An empty PIL image is refused."""
    with pytest.raises(ImageError, match=r"the PIL image has no pixels.*size \(0, 5\)"):
        load_image(Image.new("RGB", (0, 5)))


def black_png(path: Path, width: int, height: int, rows: int) -> None:
    """Write a 1-bit PNG that claims `height` rows and holds `rows` of them; takes no memory."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    packer, row = zlib.compressobj(1), bytes(1 + -(-width // 8))
    packed = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    header = struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def test_bomb(tmp_path: Path) -> None:
    """A small file that claims 10 billion pixels is refused before it is decoded; PIL's limit stays."""
    limit = Image.MAX_IMAGE_PIXELS
    black_png(tmp_path / "bomb.png", 100_000, 100_000, rows=1)

    with pytest.raises(ImageError, match=r"bomb\.png.*claims 100000 x 100000.*at most 1,073,741,824"):
        load_image(tmp_path / "bomb.png")
    assert limit == Image.MAX_IMAGE_PIXELS is not None


def test_large_file(tmp_path: Path) -> None:
    """A scan beyond PIL's limit is read, in little more memory than its pixels take (4 bytes each here)."""
    path = tmp_path / "scan.png"
    black_png(path, 14_000, 13_000, rows=13_000)

    growth = peak_growth(
        "import warnings\nwarnings.simplefilter('error')\nfrom lightsam_plugins.images import load_image",
        f"assert load_image({str(path)!r}).shape == (13_000, 14_000, 3)",
    )

    assert growth < 1.2 * 4 * 13_000 * 14_000


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        (None, "A video that has ended, or a file that OpenCV could not read, gives None"),
        ((True, np.zeros((4, 4, 3), np.uint8)), r"Pass one image; capture.read\(\) of OpenCV returns"),
        (iter([]), "Pass the images of a stream one by one"),
        (torch.zeros(3, 4, 4), r"Of a torch tensor pass tensor.cpu\(\).numpy\(\)"),
    ],
)
def test_what_is_often_passed_in_the_place_of_an_image_is_told(source: object, hint: str) -> None:
    """None, what OpenCV's read returns, a stream, and a tensor."""
    with pytest.raises(ImageError, match=hint):
        load_image(source)
