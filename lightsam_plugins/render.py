"""Draw masks, prompts and scores on a photo, with PIL and numpy only.

Small photos are enlarged first and very large ones reduced, so that outlines stay crisp and text legible
at every size. Colours are Okabe and Ito's, which people with colour-blindness can tell apart, and no
meaning rests on colour alone: a positive click is a disc with a plus, a negative one a square with a minus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightsam_plugins.upsample import Crop

Rgb: TypeAlias = tuple[int, int, int]
Rect: TypeAlias = tuple[float, float, float, float]

PALETTE: tuple[Rgb, ...] = (  # Okabe & Ito (2008) without black
    (86, 180, 233),  # sky blue: the one that photos have least of
    (230, 159, 0),  # orange
    (0, 158, 115),  # bluish green
    (204, 121, 167),  # reddish purple
    (240, 228, 66),  # yellow
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermilion
)
POSITIVE: Rgb = PALETTE[2]
NEGATIVE: Rgb = PALETTE[6]
INK: Rgb = (20, 20, 20)
WHITE: Rgb = (255, 255, 255)

MIN_SIDE = 960  # pixels of the longer side; a smaller photo is enlarged to it
MAX_SIDE = 2400  # a larger one is reduced to it: a picture to look at, not a mask file
FILL = 0.38  # opacity inside a mask
CROWD = 12  # from so many captions on, the text is smaller


def draw(
    image: npt.NDArray[np.uint8],
    crops: Sequence[Crop] = (),
    *,
    captions: Sequence[str] = (),
    boxes: npt.ArrayLike | None = None,
    points: npt.ArrayLike | None = None,
    point_labels: npt.ArrayLike | None = None,
    title: str = "",
    first_colour: int = 0,
) -> Image.Image:
    """Draw masks and the prompts they answer on a photo.

    Args:
        image: (H, W, 3) uint8 RGB.
        crops: `Masks.crops()`: ``(x0, y0, (h, w) bool)`` per mask, in pixels of the image.
        captions: One short text per mask, usually its score; empty texts are not drawn.
        boxes: (N, 4) prompt boxes ``xyxy`` in pixels of the image.
        points: (P, 2) or (N, P, 2) clicks ``(x, y)`` in pixels of the image; those outside are drawn at its border,
            where models take them to be.
        point_labels: As many labels: 1 positive, 0 negative, -1 not drawn; all 1 where None.
        title: Text of a strip above the picture; none where empty.
        first_colour: Index in `PALETTE` of the first mask.

    Returns:
        An RGB picture whose longer side has 960 to 2400 pixels (without the strip).
    """
    canvas = _Canvas(image)
    colours = [PALETTE[(first_colour + i) % len(PALETTE)] for i in range(len(crops))]
    for i in sorted(range(len(crops)), key=lambda i: -crops[i][2].size):  # small masks stay visible
        canvas.mask(crops[i], colours[i])
    for box in np.reshape(np.asarray([] if boxes is None else boxes, np.float64), (-1, 4)):
        canvas.box(box)
    clicks = np.reshape(np.asarray([] if points is None else points, np.float64), (-1, 2))
    clicks = clicks.clip(0, image.shape[1::-1])
    labels = np.ones(len(clicks)) if point_labels is None else np.ravel(np.asarray(point_labels))
    for click, label in zip(clicks, labels, strict=True):
        if label >= 0:
            canvas.click(click, positive=bool(label))
    if sum(map(bool, captions)) > CROWD:
        canvas.font_size = max(13, round(canvas.font_size * 0.75))
    for crop, caption, colour in zip(crops, captions, colours, strict=False):
        if caption and crop[2].size:
            canvas.caption(crop, caption, colour)
    return with_title(canvas.picture, title) if title else canvas.picture


def with_title(picture: Image.Image, title: str) -> Image.Image:
    """The picture with a strip of text above it; the text shrinks until it fits."""
    size = min(_font_size(picture.size), max(15, picture.height // 20)) + 2
    while size > 9 and _text_width(title, size) > picture.width - size:
        size -= 1
    framed = Image.new("RGB", (picture.width, picture.height + 2 * size), INK)
    framed.paste(picture, (0, 2 * size))
    ImageDraw.Draw(framed).text((size // 2, size), title, WHITE, _font(size), anchor="lm")
    return framed


def montage(rows: Sequence[Sequence[Image.Image]], width: int = 2880, gap: int = 8) -> Image.Image:
    """Pictures in rows, each row scaled to fill `width` pixels, with gaps of `gap` pixels between them."""
    strips = [_strip(row, width, gap) for row in rows]
    height = sum(strip.height for strip in strips) + gap * (len(strips) - 1)
    sheet = Image.new("RGB", (width, height), WHITE)
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height + gap
    return sheet


def _strip(row: Sequence[Image.Image], width: int, gap: int) -> Image.Image:
    free = width - gap * (len(row) - 1)
    height = max(1, round(free / sum(picture.width / picture.height for picture in row)))
    strip = Image.new("RGB", (width, height), WHITE)
    left = 0.0
    for picture in row:
        across = picture.width * height / picture.height
        size = max(1, round(left + across) - round(left)), height
        strip.paste(picture.resize(size, Image.Resampling.LANCZOS), (round(left), 0))
        left += across + gap
    return strip


class _Canvas:
    """The enlarged photo, and what has been drawn on it."""

    def __init__(self, image: npt.NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        longest = max(height, width)
        scale = min(max(longest, MIN_SIDE), MAX_SIDE) / longest
        size = max(1, round(width * scale)), max(1, round(height * scale))
        photo = Image.fromarray(image).convert("RGB")
        self.picture = photo.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
        self.sx, self.sy = size[0] / width, size[1] / height
        self.unit = max(size) / MIN_SIDE  # lines and text grow with the picture
        self.font_size = _font_size(size)
        self.taken: list[Rect] = []  # where captions must not go

    def mask(self, crop: Crop, colour: Rgb) -> None:
        """Fill one mask and trace its outline: a line of its colour in a thin dark casing."""
        if not crop[2].any():
            return
        left, top, inside = self._enlarge(crop)
        half = 1.4 * self.unit
        sigma = 3.0 * self.unit
        blurred = Image.fromarray((inside * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(sigma))
        # Across a straight edge the blur is a normal distribution: its value tells the distance.
        distance = np.abs(np.asarray(blurred, np.float32) / 255 - 0.5) * (sigma * np.sqrt(2 * np.pi))
        line = np.clip(half + 0.5 - distance, 0, 1)
        casing = np.clip(half + 0.9 * self.unit + 0.5 - distance, 0, 1)
        area = (left, top, left + inside.shape[1], top + inside.shape[0])
        mixed = np.asarray(self.picture.crop(area), np.float32).copy()
        for alpha, paint in ((inside * FILL, colour), (casing * 0.55, INK), (line, colour)):
            mixed += alpha[..., None] * (np.asarray(paint, np.float32) - mixed)
        self.picture.paste(Image.fromarray(np.clip(mixed + 0.5, 0, 255).astype(np.uint8)), area[:2])

    def _enlarge(self, crop: Crop) -> tuple[int, int, npt.NDArray[np.float32]]:
        """One crop in canvas pixels with a margin for the outline: left, top, coverage in [0, 1]."""
        x0, y0, mask = crop
        margin = int(np.ceil(6 * self.unit))
        width, height = self.picture.size
        left, top = (max(0, int(v) - margin) for v in (x0 * self.sx, y0 * self.sy))
        right = min(width, int(np.ceil((x0 + mask.shape[1]) * self.sx)) + margin)
        bottom = min(height, int(np.ceil((y0 + mask.shape[0]) * self.sy)) + margin)
        pad_x, pad_y = (int(np.ceil((margin + 1) / s)) + 2 for s in (self.sx, self.sy))
        source = Image.fromarray(np.pad(mask.astype(np.uint8) * 255, ((pad_y, pad_y), (pad_x, pad_x))))
        region = (
            left / self.sx - x0 + pad_x,
            top / self.sy - y0 + pad_y,
            right / self.sx - x0 + pad_x,
            bottom / self.sy - y0 + pad_y,
        )
        soft = source.resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=region)
        steepness = max(1.0, min(self.sx, self.sy))  # undo the blur of enlarging: edges one pixel wide
        coverage = np.clip((np.asarray(soft, np.float32) / 255 - 0.5) * steepness + 0.5, 0, 1)
        return left, top, coverage

    def box(self, box: npt.NDArray[np.float64]) -> None:
        """A prompt box: white dashes on a dark line, which no mask outline looks like."""
        width, height = self.picture.size
        x0, x1 = np.clip(box[[0, 2]] * self.sx, 0, width - 1)
        y0, y1 = np.clip(box[[1, 3]] * self.sy, 0, height - 1)
        pen = ImageDraw.Draw(self.picture)
        line = max(2, round(2 * self.unit))
        pen.rectangle((x0, y0, x1, y1), outline=INK, width=line + 2)
        dash = 9 * self.unit
        for start in np.arange(x0, x1, 2 * dash):
            for y in (y0, y1):
                pen.line((start, y, min(start + dash, x1), y), WHITE, line)
        for start in np.arange(y0, y1, 2 * dash):
            for x in (x0, x1):
                pen.line((x, start, x, min(start + dash, y1)), WHITE, line)

    def click(self, click: npt.NDArray[np.float64], *, positive: bool) -> None:
        """A click, centred on its pixel: a green disc with a plus or a red square with a minus."""
        glyph = _glyph(max(17, round(26 * self.unit)), positive=positive)
        x = (click[0] + 0.5) * self.sx - glyph.width / 2
        y = (click[1] + 0.5) * self.sy - glyph.height / 2
        self.picture.paste(glyph, (round(x), round(y)), glyph)
        self.taken.append((x, y, x + glyph.width, y + glyph.height))

    def caption(self, crop: Crop, text: str, colour: Rgb) -> None:
        """A chip of text at the mask, where nothing else is; left out where no place is free."""
        size = self.font_size
        width, height = _text_width(text, size) + 1.1 * size, 1.45 * size
        x0, y0 = crop[0] * self.sx, crop[1] * self.sy
        x1, y1 = x0 + crop[2].shape[1] * self.sx, y0 + crop[2].shape[0] * self.sy
        peak = x0 + (np.flatnonzero(crop[2][0]).mean() + 0.5) * self.sx if crop[2][0].any() else x0
        middle = (x0 + x1 - width) / 2
        above, below, centre = y0 - height, y1, (y0 + y1 - height) / 2
        places = [
            (peak - width / 2, above),
            (x0, above),
            (middle, below),
            (middle, centre),
            (x1 - width, centre),
        ]
        limit_x, limit_y = self.picture.size
        for x, y in places:
            left = min(max(0.0, x), max(0.0, limit_x - width))
            top = min(max(0.0, y), max(0.0, limit_y - height))
            rect = (left, top, left + width, top + height)
            if not any(_overlap(rect, other) for other in self.taken):
                break
        else:
            return
        self.taken.append(rect)
        pen = ImageDraw.Draw(self.picture)
        pen.rectangle(rect, fill=INK)
        pen.rectangle((left, top, left + 0.3 * size, top + height), fill=colour)
        pen.text((left + 0.65 * size, top + height / 2), text, WHITE, _font(size), anchor="lm")


def _glyph(side: int, *, positive: bool) -> Image.Image:
    """An RGBA mark of a click, drawn four times larger and reduced, so that its edges are smooth."""
    big = 4 * side
    glyph = Image.new("RGBA", (big, big), (0, 0, 0, 0))
    pen = ImageDraw.Draw(glyph)
    shape = pen.ellipse if positive else pen.rectangle
    for inset, paint in ((0.0, INK), (0.06, WHITE), (0.15, POSITIVE if positive else NEGATIVE)):
        shape((inset * big, inset * big, (1 - inset) * big - 1, (1 - inset) * big - 1), fill=paint)
    bar = (0.28 * big, 0.44 * big, 0.72 * big, 0.56 * big)
    pen.rectangle(bar, fill=WHITE)
    if positive:
        pen.rectangle((bar[1], bar[0], bar[3], bar[2]), fill=WHITE)
    return glyph.resize((side, side), Image.Resampling.LANCZOS)


def _font_size(size: tuple[int, int]) -> int:
    return max(15, round(max(size) / 48))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _text_width(text: str, size: int) -> float:
    return float(_font(size).getlength(text))


def _overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
