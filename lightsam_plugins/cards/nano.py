"""`nano`, the model in the wheel."""

from __future__ import annotations

from lightsam_plugins.model_spec import ModelSpec, WeightFile

CARDS = (
    ModelSpec(
        name="nano",
        builder="lightsam_plugins.models.nano:build",
        weights=WeightFile(
            filename="nano.safetensors",
            size=5_912_062,
            sha256="4233e6f86f8fed68ff9a8fcb1a74eb6749875d0d36c37bda16fed4191bbc9749",
            bundled=True,
        ),
        params=2_949_599,
        encoder_side=384,
        prompt_side=384,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        paper="docs/nano.md",
        repository="this package",
        speed="fastest",
        # A small model is less sure of itself than SAM, whose thresholds (0.88, 0.95) would leave next to nothing.
        everything_defaults={"points_per_side": 24, "pred_iou_thresh": 0.6, "stability_score_thresh": 0.85},
        notes="Ships inside the wheel; trained from scratch on licence-clean images. A quick default.",
    ),
)
