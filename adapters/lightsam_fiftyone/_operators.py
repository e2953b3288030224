"""The plugin: operators of FiftyOne's App that segment boxes, clicks and whole images."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types

from lightsam_fiftyone import load_model
from lightsam_fiftyone._items import Item
from lightsam_plugins import list_models

if TYPE_CHECKING:
    from lightsam_fiftyone._model import LightSAMModel

_BOXES, _CLICKS = (fo.Detections, fo.Detection), (fo.Keypoints, fo.Keypoint)
_model = lru_cache(maxsize=2)(load_model)  # here, since FiftyOne runs the plugin's own file anew


def register(plugin: Any) -> None:
    """Add the operators to a plugin."""
    for operator in (Segment, SegmentSample, Everything):
        plugin.register(operator)


def model_form(ctx: Any) -> Any:
    """The fields of FiftyOne's form "Apply zoo model" that go to `load_model`."""
    form = types.Object()
    for name, label, kinds in (
        ("box_prompt_field", "Boxes", _BOXES),
        ("point_prompt_field", "Clicks", _CLICKS),
        ("mask_prompt_field", "Masks to refine", _BOXES),
    ):
        form.enum(name, _fields(ctx.dataset, kinds), label=label, description="Without any field: everything")
    form.enum(
        "bbox_mode", ["prompt", "mask"], default="prompt", label="Box of a mask: the prompt's, or its own"
    )
    return types.Property(form)


def _fields(dataset: Any, kinds: Iterable[type]) -> list[str]:
    return [name for kind in kinds for name in dataset.get_field_schema(embedded_doc_type=kind)]


class _Operator(foo.Operator):
    """What the operators share: where they stand, which samples they take, and how they report."""

    title, place = "", types.Places.SAMPLES_GRID_SECONDARY_ACTIONS

    @property
    def config(self) -> Any:
        """Name and abilities."""
        return foo.OperatorConfig(
            name=self.title.partition(":")[0],
            label=f"LightSAM:{self.title.partition(':')[2]}",
            dynamic=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
        )

    def resolve_placement(self, ctx: Any) -> Any:
        """A button."""
        return types.Placement(self.place, types.Button(label=self.config.label, prompt=True))

    def resolve_input(self, ctx: Any) -> Any:
        """The form."""
        form = types.Object()
        if ctx.current_sample is None:
            form.view_target(ctx)
        form.enum("model", list_models(), default="nano", required=True, label="Model")
        self.ask(ctx, form)
        return types.Property(form, view=types.View(label=self.config.label))

    def resolve_output(self, ctx: Any) -> Any:
        """How many samples have masks now."""
        shown = types.Object()
        shown.int("samples", label="Samples with masks")
        return types.Property(shown)

    def execute(self, ctx: Any) -> dict[str, int]:
        """Do it, and show it."""
        done = self.label(
            ctx, ctx.dataset.select(ctx.current_sample) if ctx.current_sample else ctx.target_view()
        )
        if not ctx.delegated:
            ctx.ops.reload_dataset()
        return {"samples": done}

    def ask(self, ctx: Any, form: Any) -> None:
        """Add the fields of this operator to the form."""
        raise NotImplementedError

    def label(self, ctx: Any, view: Any) -> int:
        """Label the samples of a view; returns how many have masks."""
        raise NotImplementedError


class Segment(_Operator):
    """Masks for boxes or clicks: into a new field, or into the boxes themselves."""

    title = "segment: segment boxes or clicks"

    def ask(self, ctx: Any, form: Any) -> None:
        """Which prompts, and where the masks go."""
        fields = _fields(ctx.dataset, (*_BOXES, *_CLICKS))
        if not fields:
            missing = "The dataset has no field of boxes (Detections) or clicks (Keypoints)"
            form.view("missing", types.Error(label=missing))
        form.enum(
            "prompt_field",
            fields,
            default=next(iter(fields), None),
            required=True,
            label="Boxes or clicks",
            description="Of the labels that are selected, if any are",
        )
        clicks = ctx.params.get("prompt_field") in _fields(ctx.dataset, _CLICKS)
        inside = "Leave empty to put masks into the boxes themselves, where they have none"
        form.str(
            "label_field",
            required=clicks,
            label="New field for the masks",
            description="Clicks cannot hold masks" if clicks else inside,
        )

    def label(self, ctx: Any, view: Any) -> int:
        """Apply the model to the prompts."""
        model, field, target = (
            _model(ctx.params["model"]),
            ctx.params["prompt_field"],
            ctx.params.get("label_field"),
        )
        chosen = {label["label_id"] for label in ctx.selected_labels or ()}
        if target:
            prompts = view.select_labels(ids=list(chosen), fields=field) if chosen else view
            return _apply(ctx, prompts, model, target, prompt_field=field)
        return _fill(ctx, view, model, field, chosen)


class SegmentSample(Segment):
    """The same, as a button of an opened sample."""

    title, place = "segment_sample: segment boxes or clicks", types.Places.SAMPLES_VIEWER_ACTIONS


class Everything(_Operator):
    """Masks of whatever there is."""

    title = "everything: everything"

    def ask(self, ctx: Any, form: Any) -> None:
        """Where the masks go, and how finely to look."""
        form.str("label_field", required=True, default="everything", label="New field for the masks")
        form.int("points_per_side", label="Clicks along each side", description="More find smaller objects")

    def label(self, ctx: Any, view: Any) -> int:
        """Apply the model without prompts."""
        clicks = ctx.params.get("points_per_side")
        model = load_model(ctx.params["model"], auto_kwargs={"points_per_side": clicks})
        return _apply(ctx, view, model, ctx.params["label_field"])


def _apply(ctx: Any, view: Any, model: LightSAMModel, target: str, **prompts: str) -> int:
    workers = None if ctx.delegated else 0  # the App's server may not start processes
    progress = lambda bar: ctx.set_progress(bar.iteration / max(bar.total or 0, 1))  # noqa: E731
    view.apply_model(model, label_field=target, num_workers=workers, progress=progress, **prompts)
    return len(ctx.dataset.select(view.values("id")).exists(target))


def _fill(ctx: Any, view: Any, model: LightSAMModel, field: str, chosen: set[str]) -> int:
    """Give masks to boxes where they are: to the chosen ones, or to all that have none."""
    total, done = len(view), 0
    for row, sample in enumerate(view.iter_samples(autosave=True)):
        boxes = [
            box
            for box in getattr(sample[field], "detections", None) or [sample[field]]
            if box is not None and (box.id in chosen if chosen else not box.has_mask)
        ]
        item = Item.read(sample.filepath, {"box_prompt_field": fo.Detections(detections=boxes)})
        if boxes:
            found = model.answer(item, model.recent.embed_file(sample.filepath)).detections
            for box, new in zip(boxes, found, strict=True):
                box.mask, box.confidence = new.mask, new.confidence
            done += 1
        ctx.set_progress((row + 1) / total)
    return done
