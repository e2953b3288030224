"""MobileSAM."""

from __future__ import annotations

from lightsam_plugins.model_spec import Figure, ModelSpec, WeightFile

CARDS = (
    ModelSpec(
        name="mobilesam",
        builder="lightsam_plugins.models.mobile_sam:build",
        weights=WeightFile(
            filename="mobile_sam.pt",
            size=40_728_226,
            sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
            git_blob="7ef2d090979fd9853adf17b7a99c8b94a1c5a6a7",
            repo="dhkim2810/MobileSAM",
            url="https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
        ),
        params=9_808_452,
        encoder_side=1024,
        prompt_side=1024,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        paper="https://arxiv.org/abs/2306.14289",
        repository="https://github.com/ChaoningZhang/MobileSAM",
        speed="fast",
        # NanoSAM's authors build MobileSAM's encoder in float32 because float16 gives wrong masks.
        unsafe_dtypes=frozenset({("cpu", "float16"), ("cuda", "float16"), ("mps", "float16")}),
        published=(
            Figure("COCO box mIoU", 74.2, "EfficientSAM's paper, arXiv 2312.00863"),
            Figure("COCO 1-click mIoU", 43.7, "EfficientSAM's paper, arXiv 2312.00863"),
            Figure("COCO mask AP, ViTDet boxes", 38.7, "EfficientSAM's paper; other papers say up to 44.3"),
            Figure("encode + 1 prompt, one GPU, ms", 12, "README of the official repository"),
            Figure("COCO box mIoU", 73.4, "survey, arXiv 2410.04960"),
            Figure("encode + 1 prompt, RTX 3090, ms", 30, "survey, arXiv 2410.04960"),
            Figure("encode + 1 prompt, CPU, ms", 424, "survey, arXiv 2410.04960"),
        ),
        notes="SAM's decoder behind a TinyViT encoder of 6 M parameters.",
    ),
)
