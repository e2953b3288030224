"""MobileSAMv2: the boxes its detector finds, and everything mode that segments them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_network import SPEC, Wand
from seeded import detector, efficientvit_sam, photo, seeded_segmenter, tiny_vit

from lightsam_plugins.detection import boxes_in_image, detector_image
from lightsam_plugins.errors import Cancelled, OptionError
from lightsam_plugins.models.mobile_sam_v2 import MobileSamV2, build_efficientvit_l2
from lightsam_plugins.point_grid import crop_boxes
from lightsam_plugins.registry import list_models, model_card
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.types import Embedding, Frame

CARD = model_card("mobilesamv2")
#     x0   y0   x1   y1   confidence; pixels of an image of 256 x 256, whose letterbox is four times as large
FOUND = [
    (100, 110, 150, 140, 0.9),
    (30, 150, 90, 230, 0.8),
    (30, 150, 90, 230, 0.8),  # decoded once more: suppression is the detector's
    (40, 40, 220, 60, 0.7),
    (25, 25, 230, 200, 0.5),
]


class Given(Wand):
    """Boxes that are known instead of a detector that finds them, and a decoder that fills them."""

    def __init__(self, found: list[tuple[float, ...]]) -> None:
        super().__init__()
        self.found = torch.zeros(1, 300, 5)
        self.found[0, : len(found)] = torch.tensor(found).reshape(-1, 5) * torch.tensor([4, 4, 4, 4, 1])
        self.seen: list[torch.Tensor] = []

    def detect(self, images: torch.Tensor) -> torch.Tensor:
        """What was given, whatever the image."""
        self.seen.append(images)
        return self.found


def given(found: list[tuple[float, ...]] = FOUND) -> tuple[Segmenter, Given]:
    """A segmenter with MobileSAMv2's options around such a network."""
    network = Given(found)
    spec = replace(SPEC, more_weights=CARD.more_weights, everything_defaults=CARD.everything_defaults)
    return Segmenter(network, spec), network


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([20, 20, 380, 280], [20, 20, 380, 280]),
        ([19.9, 19.9, 380.1, 280.1], [0, 0, 400, 300]),
        ([50, 10, 100, 90], [50, 0, 100, 90]),
        ([300, 200, 395, 270], [300, 200, 400, 270]),
        ([-9, -9, 450, 100], [0, 0, 400, 100]),  # clipped
        ([390, 290, 399, 299], [390, 290, 400, 300]),
        ([2, 100, 8, 130], [0, 100, 8, 130]),
        ([50, -40, 100, -2], None),  # in the grey above the image
        ([401, 10, 420, 20], None),
    ],
)
def test_sides_near_the_border_are_moved_onto_it(box: list[float], expected: list[float] | None) -> None:
    """Less than 20 pixels of the image, counted at its own size, are none; what is outside of it goes."""
    frame = Frame(300, 400, 1024, "pad")
    scale = 1024 / 400  # 300 * 2.56 is 768, a multiple of 32: no grey
    rows = [[side * scale for side in box] + [0.75], [0, 0, 0, 0, 0]]

    found = boxes_in_image(np.asarray(rows, np.float32), frame)

    assert found.dtype == np.float32
    wanted = np.asarray([[*expected, 0.75]] if expected else np.empty((0, 5)))
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_boxes_leave_the_letterbox() -> None:
    """The grey around the image is taken off, and the scale of each axis is its own."""
    frame = Frame(260, 500, 1024, "pad")  # 532 rows of 544: 6 of grey above
    rows = np.asarray([[204.8, 210.8, 409.6, 415.6, 0.5]], np.float32)
    expected = [100, 204.8 * 260 / 532, 200, 409.6 * 260 / 532]

    np.testing.assert_allclose(boxes_in_image(rows, frame)[0, :4], expected, rtol=1e-5)


def test_everything_is_the_detected_boxes_in_order() -> None:
    """A mask a box, the most confident first: what `segment` makes of the same boxes, with the detector's scores."""
    model, _ = given()
    image = photo(256, 256)
    boxes = [box[:4] for box in FOUND]
    steps: list[tuple[int, int]] = []

    masks = model.everything(image, progress=lambda done, total: steps.append((done, total)))
    expected = model.segment(image, boxes=boxes)

    assert masks.boxes.tolist() == [list(box) for box in boxes]
    np.testing.assert_array_equal(masks.logits, expected.logits)
    np.testing.assert_allclose(masks.scores, [box[4] for box in FOUND])
    assert steps == [(5, 5)]


def test_a_network_decodes_what_its_detector_finds() -> None:
    """With the networks themselves too the masks are those of the boxes, less the empty ones."""
    model, image = seeded_segmenter("mobilesamv2"), photo(300, 400)
    found = model._runner.detect(image, bgr=False)
    whole = model.segment(image, boxes=found[:, :4])

    masks = model.everything(image)

    seen = np.flatnonzero(whole.areas > 0)
    assert len(seen) > 5
    assert (np.diff(found[:, 4]) <= 0).all()
    np.testing.assert_array_equal(masks.scores, found[seen, 4])
    np.testing.assert_allclose(masks.logits, whole.logits[seen], atol=1e-4 * np.abs(whole.logits).max())


def test_boxes_below_the_threshold_are_not_decoded() -> None:
    """The detector's confidence is known beforehand: only what passes `pred_iou_thresh` costs a mask."""
    model, network = given([(*FOUND[0][:4], score) for score in (0.9, 0.8, 0.7, 0.6)])

    masks = model.everything(photo(256, 256), pred_iou_thresh=0.75, box_nms_thresh=1)

    assert network.decoded == [2]
    np.testing.assert_allclose(masks.scores, [0.9, 0.8])


def test_options_of_the_grid_change_nothing() -> None:
    """Clicks are not asked for, and boxes are decoded in batches of `points_per_batch`, 16 at most on a CPU."""
    model, network = given([(*FOUND[0][:4], 0.9)] * 40)
    image = photo(256, 256)

    whole = model.everything(image)
    other = model.everything(image, points_per_side=3, point_grids=[[[0.5, 0.5]]], points_per_batch=30)

    assert network.decoded == [16, 16, 8] * 2
    np.testing.assert_array_equal(other.logits, whole.logits)
    assert len(model.everything(image, points_per_batch=15)) == 40
    assert network.decoded[6:] == [15, 15, 10]
    assert len(model.everything(image, pred_iou_thresh=0.95)) == 0


def test_a_stop_leaves_the_masks_so_far() -> None:
    """Stopped after the first batch the masks of its boxes are in the error, which counts boxes."""
    model, _ = given()

    with pytest.raises(Cancelled, match="everything mode stopped after 2 of 5 boxes") as caught:
        model.everything(photo(256, 256), points_per_batch=2, progress=lambda *_: False)

    assert len(caught.value.partial) == 2


def test_the_detector_sees_rgb_unless_told_otherwise() -> None:
    """Red comes first, in 0..1 and in the middle of grey; with `detector_bgr` blue does."""
    image = np.zeros((200, 400, 3), np.uint8)
    image[..., 0], image[..., 1], image[..., 2] = 255, 51, 102
    model, network = given()

    for source in (image, model.embed(image)):
        network.seen.clear()
        model.everything(source)
        model.everything(source, detector_bgr=False)
        model.everything(source, detector_bgr=True)

        rgb, same, bgr = network.seen
        assert rgb.shape == (1, 3, 512, 1024)
        np.testing.assert_allclose(rgb[0, :, 256, 512], [1, 0.2, 0.4], rtol=1e-6)
        assert torch.equal(rgb, same)
        assert torch.equal(rgb.flip(1), bgr)


def test_other_colours_give_other_boxes() -> None:
    """What the detector finds in the swapped image is what it finds in an image that was swapped before."""
    model, image = seeded_segmenter("mobilesamv2"), photo(300, 400)
    rgb, bgr = (model._runner.detect(image, bgr=swapped) for swapped in (False, True))
    before = model._runner.detect(np.ascontiguousarray(image[..., ::-1]), bgr=False)

    assert not np.array_equal(rgb, bgr)
    np.testing.assert_array_equal(bgr, before)


def test_bgr_is_refused_where_there_is_no_detector() -> None:
    """The option is MobileSAMv2's alone, and yes or no."""
    model = Segmenter(Wand(), SPEC)

    assert (
        len(model.everything(photo(256, 256), detector_bgr=False, points_per_side=2, pred_iou_thresh=0)) > 0
    )
    with pytest.raises(OptionError, match="wand has no detector of its own: expected detector_bgr with Mob"):
        model.everything(photo(256, 256), detector_bgr=True)
    with pytest.raises(OptionError, match="detector_bgr: expected True or False, got 1"):
        given()[0].everything(photo(256, 256), detector_bgr=1)


def test_no_detection_no_masks() -> None:
    """Where nothing is found there are zero masks of the right shapes, and nothing was encoded for them."""
    model, network = given([])

    for source in (photo(60, 80), model.embed(photo(60, 80))):
        network.encoded.clear()
        masks = model.everything(source)

        assert (len(masks), masks.size, masks.scores.shape) == (0, (60, 80), (0,))
        assert (masks.logits.shape, masks.dense().shape) == ((0, 256, 256), (0, 60, 80))
        assert masks.boxes.shape == (0, 4)
        assert masks.crops() == masks.rle() == []
        assert network.encoded == network.decoded == []


def test_prompts_do_without_the_detector() -> None:
    """Encoding and boxes or clicks never run it."""
    model, network = given()
    embedding = model.embed(photo(256, 256))
    model.segment(embedding, boxes=FOUND[0][:4])
    model.segment(photo(256, 256), points=[[120, 120]])

    assert network.decoded == [1, 1]
    assert network.seen == []


def test_the_image_for_the_detector_is_made_where_it_is_needed(monkeypatch) -> None:
    """Once for everything mode and once for an embedding to keep; prompts on an image do without."""
    made: list[int] = []

    def counted(image: np.ndarray) -> torch.Tensor:
        made.append(1)
        return detector_image(image)

    monkeypatch.setattr("lightsam_plugins.runner.detector_image", counted)
    model, _ = given()
    model.segment(photo(256, 256), points=[[120, 120]])
    assert made == []
    model.everything(photo(256, 256))
    assert made == [1]
    model.everything(model.embed(photo(256, 256)))
    assert made == [1, 1]


def test_an_embedding_is_enough(tmp_path) -> None:
    """An embedding, kept in a file and read again, is segmented as the image is."""
    model, image = seeded_segmenter("mobilesamv2"), photo(300, 400)
    model.embed(image).save(tmp_path / "embedding.safetensors")
    masks = model.everything(Embedding.load(tmp_path / "embedding.safetensors"))
    expected = model.everything(image)

    assert len(masks) > 5
    np.testing.assert_array_equal(masks.logits, expected.logits)


def test_crops_are_detected_in_by_themselves() -> None:
    """With a crop layer the detector sees each crop, and what it finds there lies at the crop's place."""
    model, network = given([(100, 100, 160, 160, 0.9)])
    crops = [crop for _, crop in crop_boxes(256, 256, 1, 0.34)]

    masks = model.everything(photo(256, 256), crop_n_layers=1, crop_overlap_ratio=0.34)

    assert len(network.seen) == len(crops) == 5
    expected = []
    for x0, y0, x1, _ in crops:
        low, high = 100 * (x1 - x0) / 256, 160 * (x1 - x0) / 256
        expected.append([x0 + low, y0 + low, x0 + high, y0 + high])
    found = sorted(masks.boxes.tolist())
    np.testing.assert_allclose(found, sorted(expected), atol=1.5)


def test_objects_of_one_crop_alone_lie_in_the_image(monkeypatch) -> None:
    """Where only the last crop holds something, its masks have the size of the image and lie in their place."""
    model, _ = given()
    x0, y0 = crop_boxes(256, 256, 1, 0.34)[-1][1][:2]
    answers = [np.zeros((0, 5), np.float32)] * 4 + [np.float32([[60, 60, 100, 100, 0.9]])]
    monkeypatch.setattr(model._runner, "detect", lambda source, *, bgr: answers.pop(0))

    masks = model.everything(photo(256, 256), crop_n_layers=1, crop_overlap_ratio=0.34)

    assert masks.size == (256, 256)
    np.testing.assert_allclose(masks.boxes, [[x0 + 60, y0 + 60, x0 + 100, y0 + 100]], atol=2)


def test_a_smaller_encoder_gets_the_padded_square_resized() -> None:
    """EfficientViT-L2's encoder sees 512 pixels, each the mean of four of the 1024."""
    torch.manual_seed(0)
    official = efficientvit_sam().eval()
    network = MobileSamV2(official.image_encoder, detector(), encoder_side=512)
    images = torch.rand(1, 3, 1024, 1024)
    means = images.unflatten(3, (512, 2)).unflatten(2, (512, 2)).mean((3, 5))

    with torch.inference_mode():
        found = network.encode(images)["image_embedding"]
        expected = official.encode(means)["image_embedding"]

    with torch.device("meta"):
        assert build_efficientvit_l2().encoder_side == 512
    assert found.shape == (1, 32, 64, 64)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_boxes_cost_no_masks() -> None:
    """The detector's boxes and confidences are the first five rows of all it can say, without its prototypes."""
    torch.manual_seed(0)
    network, image = MobileSamV2(tiny_vit(), detector()).detector, torch.rand(2, 3, 96, 128)
    called = []
    network.model["22"].proto.register_forward_hook(lambda *_: called.append(1))

    with torch.inference_mode():
        boxes = network.boxes(image)
        assert called == []
        assert torch.equal(boxes, network(image)[0][:, :5])


@pytest.mark.parametrize("name", [name for name in list_models() if name.startswith("mobilesamv2")])
def test_cards_say_what_is_known(name: str) -> None:
    """Three files; the licence of the detector and its colours are in the notes, and its hash is called weak."""
    card = model_card(name)

    assert [file.part for file in card.files] == ["encoder", "decoder", "detector"]
    assert (card.licence_code, card.licence_weights) == ("Apache-2.0", "AGPL-3.0")
    for word in ("AGPL-3.0", "detector_bgr"):
        assert word in card.notes
    assert card.files[2].weak is not None
    assert "2312.09579" in card.paper
