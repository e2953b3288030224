"""FastSAM."""

from __future__ import annotations

from lightsam_plugins.model_spec import SAM_PROMPTS, Figure, ModelSpec, WeightFile

_PAPER = "https://arxiv.org/abs/2306.12156"
_REPOSITORY = "https://github.com/CASIA-IVA-Lab/FastSAM"
_RELEASE = "https://github.com/ultralytics/assets/releases/download/v8.3.0/"
_LICENCE = (
    "Code and weights are AGPL-3.0, as their authors state (the network here is our own, from the paper)."
)

# The proposals are the answer as they are: confident enough, suppressed already, and not stable in SAM's sense.
_EVERYTHING = {"pred_iou_thresh": 0.4, "stability_score_thresh": 0.0, "box_nms_thresh": 1.0}

# bfloat16 has 8 bits: boxes would be right within 4 pixels, and confidences alike.
_UNSAFE = frozenset({("cpu", "bfloat16"), ("cuda", "bfloat16"), ("mps", "bfloat16")})

CARDS = (
    ModelSpec(
        name="fastsam-s",
        builder="lightsam_plugins.models.fastsam:build_s",
        weights=WeightFile(
            filename="FastSAM-s.pt",
            size=23_851_578,
            sha256="c9f78716a81c7aff0d608ccc73e1b82ab3aaad85005049f6a92106a0be6d0844",
            url=_RELEASE + "FastSAM-s.pt",
        ),
        params=11_790_483,
        encoder_side=1024,
        prompt_side=1024,
        fit="letterbox",
        mean=(0.0, 0.0, 0.0),
        std=(255.0, 255.0, 255.0),
        prompts=SAM_PROMPTS,
        licence_code="AGPL-3.0",
        licence_weights="AGPL-3.0",
        paper=_PAPER,
        repository=_REPOSITORY,
        speed="fast",
        everything_defaults=_EVERYTHING,
        unsafe_dtypes=_UNSAFE,
        notes=(
            f"{_LICENCE} Prompts choose among 300 proposals at most. Weights as Ultralytics saved them; their hash"
            " is from third parties' lists only."
        ),
    ),
    ModelSpec(
        name="fastsam-x",
        builder="lightsam_plugins.models.fastsam:build_x",
        weights=WeightFile(
            filename="FastSAM-x.pt",
            size=144_972_346,
            sha256="752cadc2828edb1cd4bc4f9eb587100631af06ea2108f4c9ed56df4755701e76",
            url=_RELEASE + "FastSAM-x.pt",
        ),
        params=71_751_811,
        encoder_side=1024,
        prompt_side=1024,
        fit="letterbox",
        mean=(0.0, 0.0, 0.0),
        std=(255.0, 255.0, 255.0),
        prompts=SAM_PROMPTS,
        licence_code="AGPL-3.0",
        licence_weights="AGPL-3.0",
        paper=_PAPER,
        repository=_REPOSITORY,
        speed="slow",
        everything_defaults=_EVERYTHING,
        unsafe_dtypes=_UNSAFE,
        published=(
            Figure("COCO mask AP, ViTDet boxes", 37.9, "README of the official repository"),
            Figure("COCO mask AR@1000, everything mode", 63.7, "README of the official repository"),
            Figure("COCO box mIoU", 60.5, "survey, arXiv 2410.04960"),
            Figure("encode + any number of prompts, RTX 3090, ms", 40, "README; choosing is left out"),
            Figure("everything mode, RTX 3090, ms", 106, "survey, arXiv 2410.04960"),
        ),
        notes=(
            f"{_LICENCE} Prompts choose among 300 proposals at most. Weights as Ultralytics saved them; their hash"
            " is from two third parties' lists only, the authors publish none."
        ),
    ),
)
