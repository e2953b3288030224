"""EfficientSAM."""

from __future__ import annotations

from lightsam_plugins.model_spec import Figure, ModelSpec, Prompt, WeightFile

_PROMPTS: frozenset[Prompt] = frozenset({"point", "box", "everything"})
_PAPER = "EfficientSAM's paper, arXiv 2312.00863"
_SURVEY = "survey, arXiv 2410.04960"
# Those of the official example of everything mode, at its grid of 32 x 32 clicks.
_EVERYTHING = {"pred_iou_thresh": 0.7, "stability_score_thresh": 0.9}
_NOTES = (
    "No negative clicks: they are not in the weights (issues 17 and 64 of the repository). An object has six points "
    "at most, a box counting as two. The single answer is mask token 0, as in the official predict_masks("
    "multimask_output=False) and for every model here; the official example takes the best of the three others, "
    "which is multimask=True and .best(). Images are resized with antialiasing, as for every model here; officially "
    "without, which differs where an image is larger than 1024 px. "
)

CARDS = (
    ModelSpec(
        name="efficientsam-ti",
        builder="lightsam_plugins.models.efficient_sam:build_ti",
        weights=WeightFile(
            filename="efficient_sam_vitt.pt",
            size=40_982_470,
            sha256="dff858b19600a46461cbb7de98f796b23a7a888d9f5e34c0b033f7d6eb9e4e6a",
            git_blob="af883c49e33c68f01107be52df0ecad26a48355f",
            repo="merve/EfficientSAM",
            url="https://github.com/yformer/EfficientSAM/raw/main/weights/efficient_sam_vitt.pt",
        ),
        params=10_223_204,
        encoder_side=1024,
        prompt_side=1024,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        paper="https://arxiv.org/abs/2312.00863",
        repository="https://github.com/yformer/EfficientSAM",
        speed="medium",
        fit="stretch",
        prompts=_PROMPTS,
        point_slots=6,
        everything_defaults=_EVERYTHING,
        published=(
            Figure("COCO box mIoU", 75.7, _PAPER),
            Figure("COCO 1-click mIoU", 45.5, _PAPER),
            Figure("COCO 3-click mIoU", 67.2, _PAPER),
            Figure("COCO mask AP, ViTDet boxes", 42.3, _PAPER),
            Figure("encode + 1 box, A100, images a second", 54, _PAPER),
            Figure("COCO box mIoU", 74.7, _SURVEY),
            Figure("encode + 1 prompt, RTX 3090, ms", 40, _SURVEY),
            Figure("encode + 1 prompt, CPU, ms", 1159, _SURVEY),
        ),
        notes=_NOTES
        + "The sha256 is that of copies on the Hub and in public lists; the authors publish none. "
        "Their own file is known by its git blob id; no one has published that the two are the same: either is taken.",
    ),
    ModelSpec(
        name="efficientsam-s",
        builder="lightsam_plugins.models.efficient_sam:build_s",
        weights=WeightFile(
            filename="efficient_sam_vits.pt",
            size=105_742_022,
            sha256="339376940b92351ae26dd1162e2305a1cc6f5cde735105e91286251abd9a6b65",
            repo="yunyangx/EfficientSAM",
        ),
        params=26_413_028,
        encoder_side=1024,
        prompt_side=1024,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        paper="https://arxiv.org/abs/2312.00863",
        repository="https://github.com/yformer/EfficientSAM",
        speed="slow",
        fit="stretch",
        prompts=_PROMPTS,
        point_slots=6,
        everything_defaults=_EVERYTHING,
        published=(
            Figure("COCO box mIoU", 76.9, _PAPER),
            Figure("COCO 1-click mIoU", 50.0, _PAPER),
            Figure("COCO 3-click mIoU", 69.8, _PAPER),
            Figure("COCO mask AP, ViTDet boxes", 44.4, _PAPER),
            Figure("encode + 1 box, A100, images a second", 47, _PAPER),
            Figure("COCO box mIoU", 76.1, _SURVEY),
        ),
        notes=_NOTES + "The repository has the weights as efficient_sam_vits.pt.zip (git blob "
        "fa4e9f05f753e109dbde052f97d37903b833cf53), which weights=PATH takes as it is.",
    ),
)
