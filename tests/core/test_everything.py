"""Everything mode, around networks whose masks are known exactly."""

import tracemalloc
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from fake_network import LEVEL, Scripted, Wand, blocks, spec, wand_segmenter

from lightsam_plugins import candidates
from lightsam_plugins.boxes import nms
from lightsam_plugins.candidates import View
from lightsam_plugins.errors import Cancelled, Interrupted, OptionError
from lightsam_plugins.everything_join import Part, onto_frame
from lightsam_plugins.everything_options import EverythingOptions
from lightsam_plugins.masks import Masks
from lightsam_plugins.point_grid import point_grid
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.types import Frame

IMAGE, BLOCKS = blocks()


def rows(boxes: np.ndarray) -> list[tuple[float, ...]]:
    """Boxes as a sorted list, to compare them as a set."""
    return sorted(map(tuple, boxes.tolist()))


def overlap(a: tuple[float, ...], b: np.ndarray) -> float:
    """IoU of two boxes."""
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    both = max(width, 0) * max(height, 0)
    return float(both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both))


def script(x: float, y: float) -> list[tuple[tuple[float, float, float, float], float]]:
    """Three boxes around a click, of sizes and scores that look random, are distinct, and overlap a lot."""
    random = np.random.default_rng(int(1000 * x + y))
    sizes, scores = random.integers(4, 40, (3, 2)), np.sort(random.uniform(0.8, 1, 3))[::-1]
    return [
        ((max(x - w, 0), max(y - h, 0), min(x + w, 255), min(y + h, 255)), float(score))
        for (w, h), score in zip(sizes, scores, strict=True)
    ]


def brute_force(per_side: int, pred_iou_thresh: float, box_nms_thresh: float) -> list[tuple[float, ...]]:
    """Every candidate of every click at once, filtered, then suppressed once: boxes, best first."""
    found = [
        one
        for x, y in point_grid(per_side) * 256
        for one in script(float(np.float32(x)), float(np.float32(y)))
    ]
    good = [(tuple(map(int, box)), np.float32(score)) for box, score in found if score > pred_iou_thresh]
    boxes = np.array([box for box, _ in good], np.float32)
    return [good[row][0] for row in nms(boxes, np.array([score for _, score in good]), box_nms_thresh)]


def test_every_block_is_found_once() -> None:
    """Several clicks on a block and its worse candidates leave one mask of it, and one of the background."""
    masks = wand_segmenter().everything(IMAGE, points_per_side=16)
    background = masks.areas.argmax()

    assert rows(np.delete(masks.boxes, background, 0)) == sorted(BLOCKS)
    assert masks.areas[background] == 256 * 256 - sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in BLOCKS)
    assert (np.diff(masks.scores) <= 0).all()
    assert (masks.scores > 0.88).all()
    assert (masks.stability >= 0.95).all()


def searched(image: np.ndarray, *, hierarchical: bool, size: int = 8) -> candidates.Candidates:
    """Everything mode's search of an image of 256 x 256 with 32 x 32 clicks, `size` at a time."""
    runner = wand_segmenter()._runner
    options = EverythingOptions(points_per_side=32, pred_iou_thresh=0.6, hierarchical=hierarchical)
    frame, embedding = runner.frame(image), runner.encode([image])[0]
    points = options.grids()[0] * 256
    found = candidates.Candidates(
        View((0, 0, 256, 256), frame, (256, 256), points, partial(runner.click, embedding)), options
    )
    for clicks in found.chunks(size):
        found.decode(clicks)
    return found


def test_hierarchical_makes_fewer_clicks_and_finds_the_same_blocks() -> None:
    """Clicks inside small masks that are known already are left out, without losing a block of this image."""
    full, some = (searched(IMAGE, hierarchical=value) for value in (False, True))

    assert (full.decoded, full.left_out) == (1024, 0)
    assert some.decoded + some.left_out == 1024
    assert 20 < some.left_out < 200
    assert rows(some.winners()[2]) == rows(full.winners()[2])


def test_hierarchical_does_not_depend_on_the_chunk() -> None:
    """Which clicks are left out is decided once, after all coarse ones, whatever is decoded at once."""
    first, *others = (searched(IMAGE, hierarchical=True, size=size) for size in (1, 7, 64, 2000))
    boxes = rows(first.winners()[2])

    for other in others:
        assert other.decoded == first.decoded
        assert rows(other.winners()[2]) == boxes


def test_hierarchical_clicks_coarsely_first() -> None:
    """The same clicks in another order: of an 8 x 8 grid the first sixteen are two apart."""
    usual, coarse = (
        EverythingOptions(points_per_side=8, hierarchical=value).grids()[0] for value in (False, True)
    )

    assert rows(usual) == rows(coarse)
    assert coarse[:16].tolist() == [
        [x, y] for y in (0.1875, 0.4375, 0.6875, 0.9375) for x in (0.1875, 0.4375, 0.6875, 0.9375)
    ]


@pytest.mark.parametrize("score", [0.1, 0.95])
def test_hierarchical_reports_all_points(score: float) -> None:
    """Progress ends at the number of points, whether the rest of them is left out or not."""
    network = Scripted(lambda x, y: [((x, y, x + 9, y + 9), score)] * 3)
    steps: list[tuple[int, int]] = []

    Segmenter(network, spec()).everything(
        IMAGE, points_per_side=8, hierarchical=True, progress=lambda done, total: steps.append((done, total))
    )

    assert steps[0] == (16, 64)
    assert steps[-1] == (64, 64)
    assert sum(network.decoded) == (16 if score == 0.1 else 64)


def test_hierarchical_is_true_or_false() -> None:
    """Another value is an error that says what is expected."""
    with pytest.raises(OptionError, match="True or False"):
        wand_segmenter().everything(IMAGE, hierarchical=2)  # type: ignore[arg-type]


def test_an_embedding_is_as_good_as_its_image() -> None:
    """An embedding gives the masks of its image, without encoding again."""
    model = wand_segmenter()
    from_image = model.everything(IMAGE, points_per_side=4)
    from_embedding = model.everything(model.embed(IMAGE), points_per_side=4)

    np.testing.assert_array_equal(from_image.logits, from_embedding.logits)
    assert model._runner.module.encoded == [1, 1]


@pytest.mark.parametrize("held", [0, 5, 10_000])
@pytest.mark.parametrize("per_batch", [1, 7, 64])
def test_the_outcome_does_not_depend_on_the_chunk(
    monkeypatch: pytest.MonkeyPatch, held: int, per_batch: int
) -> None:
    """However many clicks a chunk has and however early logits are dropped: one suppression over everything."""
    monkeypatch.setattr(candidates, "HELD", held)
    model = Segmenter(Scripted(script), spec())
    masks = model.everything(
        IMAGE, points_per_side=9, points_per_batch=per_batch, pred_iou_thresh=0.85, box_nms_thresh=0.4
    )

    assert [tuple(map(int, box)) for box in masks.boxes] == brute_force(9, 0.85, 0.4)


def test_candidates_that_come_back_are_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask dropped for a better one comes back when that one loses to a third that leaves it alone."""
    weak, beats_it, beats_that = (40, 40, 80, 80), (60, 40, 100, 80), (85, 40, 125, 80)
    boxes = {50: (weak, 0.90), 120: (beats_it, 0.95), 121: (beats_it, 0.94), 200: (beats_that, 0.99)}
    answers = {
        x: [(box, score), ((0, 0, 1, 1), 0.1), ((0, 0, 1, 1), 0.1)] for x, (box, score) in boxes.items()
    }
    monkeypatch.setattr(candidates, "HELD", 0)
    network = Scripted(lambda x, y: answers[round(x)])
    grid = [(x / 256, 0.5) for x in boxes]
    masks = Segmenter(network, spec()).everything(
        IMAGE, point_grids=[grid], points_per_batch=1, box_nms_thresh=0.2
    )

    assert masks.boxes.tolist() == [list(beats_that), list(weak)]
    assert masks.logits[1, 60, 60] == LEVEL
    assert len(network.decoded) == 5


@pytest.mark.parametrize(
    ("option", "value", "count"),
    [
        ("pred_iou_thresh", 0.907, 1),
        ("pred_iou_thresh", 0.5, 17),
        ("pred_iou_thresh", 1.0, 0),
        ("stability_score_offset", LEVEL, 0),
        ("box_nms_thresh", 0.0, 1),
        ("box_nms_thresh", 1.0, 64),
    ],
)
def test_filters(option: str, value: float, count: int) -> None:
    """Each filter keeps as many masks as it should."""
    options = {"points_per_side": 8, "stability_score_thresh": 0.5, option: value}

    assert len(wand_segmenter().everything(IMAGE, **options)) == count


def test_small_chunks_on_the_cpu() -> None:
    """On a CPU a chunk has no more clicks than the network asks for, and no more than `points_per_batch`."""
    model = wand_segmenter()
    model.everything(IMAGE, points_per_side=6)
    model.everything(IMAGE, points_per_side=6, points_per_batch=10)

    assert model._runner.module.decoded == [16, 16, 4, 10, 10, 10, 6]


def test_crops_find_what_the_grid_misses() -> None:
    """Crop layers find blocks that lie between the clicks of the image, at their place."""
    image, places = blocks(512, 512, cells=5)
    model = wand_segmenter()
    options = {"points_per_side": 3, "pred_iou_thresh": 0.5}
    alone = model.everything(image, **options)
    masks = model.everything(image, **options, crop_n_layers=1)
    small = masks[masks.areas < 10_000]

    assert len(alone) < 12
    assert model._runner.module.encoded == [1] * 6
    assert masks.size == (512, 512)
    found = [place for place in places if max(overlap(place, box) for box in small.boxes) > 0.85]
    assert len(found) > 4 * len(alone)


def test_masks_cut_by_a_crop_are_left_to_the_image() -> None:
    """An object that crosses the sides of the crops comes once, whole, from the image."""
    image = np.full((256, 256, 3), 50, np.uint8)
    image[96:160, 10:246] = (200, 0, 0)
    masks = wand_segmenter().everything(image, points_per_side=8, crop_n_layers=1)

    assert rows(masks.boxes) == [(0, 0, 256, 256), (10, 96, 246, 160)]


def test_crops_need_the_image() -> None:
    """An embedding has no pixels to crop."""
    model = wand_segmenter()

    with pytest.raises(
        OptionError, match=r"crop_n_layers: expected 0 for an embedding, got 1. .* pass the image"
    ):
        model.everything(model.embed(IMAGE), crop_n_layers=1)


def test_logits_of_a_crop_on_the_whole_image() -> None:
    """The logits of a crop, laid over the whole image, show its mask at its place, and nothing beyond it."""
    frame, crop = Frame(256, 256, 256), (64, 128, 192, 256)
    logits = np.full((1, 256, 256), -LEVEL, np.float32)
    logits[:, :100, 50:] = LEVEL
    boxes = np.array([crop], np.float32)
    part = Part(crop, Frame(128, 128, 256), logits, np.ones(1, np.float32), boxes, boxes)
    moved = onto_frame(part, frame)

    assert Masks(moved, part.scores, frame).boxes.tolist() == [[89, 128, 192, 178]]
    assert moved.min() == -LEVEL


def test_small_islands_and_holes_go() -> None:
    """`min_mask_region_area` removes islands and holes smaller than it; the others and the rest stay."""
    image = np.full((256, 256, 3), 50, np.uint8)
    image[40:200, 40:200] = (200, 0, 0)
    image[60:64, 60:64] = image[100:130, 100:130] = 50
    image[220:224, 220:224] = image[210:250, 20:60] = (200, 0, 0)
    masks = wand_segmenter().everything(image, point_grids=[[(0.3, 0.3)]], min_mask_region_area=100)

    assert masks.boxes.tolist() == [[20, 40, 200, 250]]
    assert masks.areas.tolist() == [160 * 160 - 30 * 30 + 40 * 40]


def test_after_cleaning_the_untouched_wins() -> None:
    """Of two masks that become alike by cleaning, the one that was clean from the start is kept."""
    answers = {64: ((32, 32, 96, 96), 0.90), 128: ((32, 32, 96, 96), 0.99)}

    class Speckled(Scripted):
        def decode(self, features, prompts, *, multimask):  # type: ignore[no-untyped-def]
            logits, scores = super().decode(features, prompts, multimask=multimask)
            logits[scores > 0.95, 250:253, 250:253] = LEVEL
            return logits, scores

    network = Speckled(lambda x, y: [(*answers[round(x)],), *[((0, 0, 1, 1), 0.1)] * 2])
    options = {"point_grids": [[(0.25, 0.5), (0.5, 0.5)]]}
    model = Segmenter(network, spec())

    assert len(model.everything(IMAGE, **options)) == 2
    assert model.everything(IMAGE, **options, min_mask_region_area=50).scores.tolist() == [np.float32(0.9)]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (2, 3), (40, 17)])
def test_tiny_images(height: int, width: int) -> None:
    """Images smaller than the grid work, and no mask is empty."""
    image = np.full((height, width, 3), 50, np.uint8)
    image[: (height + 1) // 2] = 200
    options = {"points_per_side": 5, "pred_iou_thresh": 0, "stability_score_thresh": 0}
    for crops in (0, 1):
        masks = wand_segmenter().everything(image, **options, crop_n_layers=crops)

        assert len(masks) > 0
        assert masks.dense().any(axis=(1, 2)).all()


def test_progress_counts_the_clicks() -> None:
    """The callback sees (done, total) after each chunk, over all crops, and ends at the total."""
    seen: list[tuple[int, int]] = []
    wand_segmenter().everything(
        IMAGE,
        points_per_side=4,
        points_per_batch=10,
        crop_n_layers=1,
        progress=lambda *step: seen.append(step),
    )

    assert seen == [(count, 80) for count in (10, 16, 26, 32, 42, 48, 58, 64, 74, 80)]


def test_cancel_keeps_what_was_found() -> None:
    """A callback that returns False ends the run; the masks of the clicks done so far are in the error."""
    model = wand_segmenter()
    with pytest.raises(Cancelled, match="everything mode stopped after 32 of 64 points") as caught:
        model.everything(IMAGE, points_per_side=8, progress=lambda done, total: done < 32)

    partial = caught.value.partial
    assert not isinstance(caught.value, KeyboardInterrupt)
    assert rows(partial[partial.areas < 10_000].boxes) == sorted(BLOCKS[:8])


def interrupts(network: Wand, after: int) -> Iterator[None]:
    """Make a network behave as if Ctrl-C came in the middle of a decoder call."""
    decode = network.decode

    def interrupted(*args, **kwargs):  # type: ignore[no-untyped-def]
        if len(network.decoded) == after:
            raise KeyboardInterrupt
        return decode(*args, **kwargs)

    network.decode = interrupted  # type: ignore[method-assign]


def test_ctrl_c_keeps_what_was_found() -> None:
    """Ctrl-C is an `Interrupted`, still a KeyboardInterrupt, and what was finished is kept."""
    model = wand_segmenter()
    interrupts(model._runner.module, after=2)
    with pytest.raises(KeyboardInterrupt, match="stopped after 32 of 64 points") as caught:
        model.everything(IMAGE, points_per_side=8)

    assert isinstance(caught.value, Interrupted)
    partial = caught.value.partial
    assert rows(partial[partial.areas < 10_000].boxes) == sorted(BLOCKS[:8])


def test_ctrl_c_before_anything_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the image is encoded gives an empty partial result of its size."""
    model = wand_segmenter()

    def interrupted(images):  # type: ignore[no-untyped-def]
        raise KeyboardInterrupt

    model._runner.module.encode = interrupted
    with pytest.raises(Interrupted, match="stopped after 0 of 16 points") as caught:
        model.everything(IMAGE, points_per_side=4)

    assert caught.value.partial.dense().shape == (0, 256, 256)


def test_memory_does_not_grow_with_the_number_of_points() -> None:
    """16 times the clicks, each with three good candidates, take about the same memory."""
    model = Segmenter(Scripted(three_of_a_grid), spec())
    embedding = model.embed(IMAGE)

    def peak(per_side: int) -> tuple[int, int]:
        tracemalloc.start()
        masks = model.everything(embedding, points_per_side=per_side, box_nms_thresh=0.1)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used, len(masks)

    few, many = peak(16), peak(64)
    assert many[1] <= few[1] + 8
    # All candidates of the larger run would take 64 * 64 * 3 * 256 KB = 3.2 GB.
    assert many[0] < 1.5 * few[0] < 200e6


def three_of_a_grid(x: float, y: float) -> list[tuple[tuple[float, float, float, float], float]]:
    """The cell of an 8x8 grid a click is in, three times over, better near the middle of the image."""
    x0, y0 = x // 32 * 32, y // 32 * 32
    score = 0.99 - 1e-4 * (abs(x - 128) + abs(y - 128))
    return [((x0 + rank, y0, x0 + 32, y0 + 32), score - 1e-6 * rank) for rank in range(3)]
