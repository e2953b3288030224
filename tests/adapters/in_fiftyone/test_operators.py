"""The plugin, executed through FiftyOne's own executor."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.registry as registry
import numpy as np
import pytest
from fiftyone.operators.executor import ExecutionError
from helpers import COINS, boxes, clicks, full, iou, relative, sample
from PIL import Image

import lightsam_fiftyone

URI = "@lightsam/lightsam/"


@pytest.fixture(scope="module", autouse=True)
def _plugin() -> Iterator[None]:
    """The plugin, installed as `lightsam fiftyone install` does it."""
    lightsam_fiftyone.install()
    yield
    lightsam_fiftyone.uninstall()


@pytest.fixture
def coins(dataset: Any, photos: dict[str, Path]) -> Any:
    """Three samples: two with boxes, one of which has a mask already, and clicks; one with nothing."""
    first = sample(photos["coins"], found=boxes(*COINS), dots=clicks([[348, 187]]))
    second = sample(photos["coins"], found=boxes(COINS[1], mask=np.ones((4, 4), bool)))
    dataset.add_samples([first, second, sample(photos["coins"])])
    return dataset


def execute(name: str, dataset: Any, params: dict[str, Any], **context: Any) -> Any:
    """The result of an operator."""
    ctx = {"dataset": dataset, "params": {"model": "nano"} | params} | context
    return foo.execute_operator(URI + name, ctx=ctx).result


def test_the_operators_are_registered() -> None:
    """FiftyOne lists the three, none failed to load, and the one of the modal is placed there."""
    operators = {
        one.uri: one for one in registry.OperatorRegistry().list_operators() if one.uri.startswith(URI)
    }

    assert sorted(operators) == [URI + name for name in ("everything", "segment", "segment_sample")]
    place = operators[URI + "segment_sample"].resolve_placement(None).to_json()["place"]
    assert place == "samples-viewer-actions"
    assert operators[URI + "segment"].config.allow_delegated_execution


def test_boxes_into_a_new_field(coins: Any, nano: Any) -> None:
    """All boxes, or those that are selected, get masks in a field of their own."""
    result = execute("segment", coins, {"prompt_field": "found", "label_field": "masks"})
    chosen = coins.first().found.detections[1]
    label = {"label_id": chosen.id, "sample_id": coins.first().id, "field": "found"}
    execute("segment", coins, {"prompt_field": "found", "label_field": "one"}, selected_labels=[label])
    execute("segment", coins, {"prompt_field": "dots", "label_field": "of_dots"}, selected=[coins.first().id])

    assert result == {"samples": 3}
    assert [len(one.detections) for one in coins.values("masks")] == [2, 1, 0]
    core = nano.segmenter.segment(coins.first().filepath, boxes=COINS).dense()
    assert iou(full(coins.first().masks.detections[0]), core[0]) > 0.98
    assert iou(full(coins.first().one.detections[0]), core[1]) > 0.98
    assert len(coins.first().one.detections) == 1
    assert len(coins.first().of_dots.detections) == 1


def test_masks_into_the_boxes_of_an_opened_sample(coins: Any) -> None:
    """In the modal the boxes themselves get masks, where they have none; ids and other samples stay."""
    first, second = list(coins)[:2]
    ids = [one.id for one in first.found.detections]

    for opened in (first, second):
        execute("segment_sample", coins, {"prompt_field": "found"}, current_sample=opened.id)

    coins.reload()
    assert [one.id for one in first.found.detections] == ids
    assert [one.mask.shape for one in first.found.detections] == [(64, 67), (41, 45)]
    np.testing.assert_allclose(first.found.detections[0].bounding_box, relative(COINS[0]))
    assert second.found.detections[0].mask.shape == (4, 4)


def test_clicks_need_a_field(coins: Any) -> None:
    """Clicks cannot hold masks: without a new field the operator is refused."""
    with pytest.raises(ExecutionError, match="label_field. Reason: Required"):
        execute("segment", coins, {"prompt_field": "dots"}).raise_exceptions()


def test_the_form_knows_the_fields(coins: Any) -> None:
    """The first field of prompts is chosen; clicks ask for a new field; a dataset without prompts is told so."""
    operator = registry.OperatorRegistry().get_operator(URI + "segment")

    def form(dataset: Any, **params: str) -> dict[str, Any]:
        request = {"dataset_name": dataset.name, "params": params}
        ctx = foo.ExecutionContext(operator_uri=URI + "segment", request_params=request)
        fields: dict[str, Any] = operator.resolve_input(ctx).to_json()["type"]["properties"]
        return fields

    of_boxes, of_clicks = form(coins, prompt_field="found"), form(coins, prompt_field="dots")
    assert of_boxes["prompt_field"]["default"] == "found"
    assert of_boxes["prompt_field"]["type"]["values"] == ["found", "dots"]
    assert [one["label_field"]["required"] for one in (of_boxes, of_clicks)] == [False, True]
    assert "missing" not in of_boxes
    coins.delete_sample_fields(["found", "dots"])
    assert "no field of boxes" in form(coins)["missing"]["view"]["label"]


def test_everything(coins: Any) -> None:
    """The operator finds what there is in the selected samples, and reports it."""
    params = {"label_field": "auto", "points_per_side": 4}
    result = execute("everything", coins, params, selected=[coins.first().id], view_target="SELECTED_SAMPLES")

    assert [masks is not None and len(masks.detections) > 0 for masks in coins.values("auto")] == [
        True,
        False,
        False,
    ]
    assert result == {"samples": 1}


def test_delegated_execution(coins: Any) -> None:
    """Queued for later, it runs in FiftyOne's own service."""
    from fiftyone.operators.delegated import DelegatedOperationService

    ctx = {"dataset": coins, "params": {"model": "nano", "prompt_field": "found", "label_field": "masks"}}
    foo.execute_operator(URI + "segment", ctx=ctx | {"request_delegation": True})
    assert not coins.has_sample_field("masks")

    DelegatedOperationService().execute_queued_operations(dataset_name=coins.name, log=False)

    coins.reload()
    assert [len(one.detections) for one in coins.values("masks")] == [2, 1, 0]


def test_prompting_one_image_again_encodes_it_once(
    coins: Any, nano: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`predict_interactive` keeps the embedding, follows a file that changes, and takes boxes, clicks or both."""
    network, calls = nano.segmenter._runner.module, []
    encode = network.encode
    monkeypatch.setattr(network, "encode", lambda images: (calls.append(1), encode(images))[1])
    first = coins.first()

    one = nano.predict_interactive(first, boxes=COINS, prompt_classes=["a", "b"])
    two = nano.predict_interactive(first, points=[[[348, 187], [300, 187]]], point_labels=[[1, 0]])
    both = nano.predict_interactive(first, boxes=COINS[:1], points=[[[348, 187]]])
    flat = nano.predict_interactive(first, points=[[348, 187], [300, 187]], point_labels=[1, 0])

    assert len(calls) == 1
    assert [found.label for found in one.detections] == ["a", "b"]
    assert iou(full(one.detections[0]), full(two.detections[0])) > 0.8
    assert iou(full(one.detections[0]), full(both.detections[0])) > 0.8
    np.testing.assert_array_equal(full(flat.detections[0]), full(two.detections[0]))


LABEL = """
import sys, fiftyone as fo, lightsam_fiftyone
dataset = fo.load_dataset(sys.argv[1])
model = lightsam_fiftyone.load_model("nano", device="cpu")
missing = dataset.match(fo.ViewField("masks") == None)
print(len(missing), flush=True)
tell = lambda bar: print(bar.iteration, flush=True)
missing.apply_model(model, "masks", box_prompt_field="found", batch_size=10, num_workers=0, progress=tell)
"""


def test_killed_and_started_again(dataset: Any, tmp_path: Path) -> None:
    """Killed amid 500 images and started again with a view of what is missing: nothing is lost or done twice."""
    dataset.persistent = True
    photo = np.zeros((24, 24, 3), np.uint8)
    photo[6:18, 6:18] = 200
    square = fo.Detections(detections=[fo.Detection(label="square", bounding_box=[0.25, 0.25, 0.5, 0.5])])
    for row in range(500):
        Image.fromarray(photo + np.uint8(row % 50)).save(tmp_path / f"{row}.png")
    dataset.add_samples([sample(tmp_path / f"{row}.png", found=square.copy()) for row in range(500)])
    dataset.add_sample_field("masks", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    command = [sys.executable, "-W", "ignore", "-c", LABEL, dataset.name]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert next(process.stdout) == "500\n"
        next(line for line in process.stdout if int(line) >= 200)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    before = _labelled(dataset)
    while before != (before := _labelled(dataset)):  # the database may be at writing what it was sent
        pass
    again = subprocess.run(command, check=True, capture_output=True, text=True)

    assert 100 < len(before) < 500
    assert int(again.stdout.split()[0]) == 500 - len(before)
    after = _labelled(dataset)
    assert len(after) == 500
    assert before.items() <= after.items()


def _labelled(dataset: Any) -> dict[str, str]:
    """The label of each sample that has one."""
    time.sleep(1)
    dataset.reload()
    return {one.id: one.masks.detections[0].id for one in dataset if one.masks is not None}
