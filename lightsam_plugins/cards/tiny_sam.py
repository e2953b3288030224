"""TinySAM."""

from __future__ import annotations

from lightsam_plugins.model_spec import Figure, ModelSpec, WeightFile

CARDS = (
    ModelSpec(
        name="tinysam",
        builder="lightsam_plugins.models.tiny_sam:build",
        weights=WeightFile(
            filename="tinysam.pth",
            size=0,  # 40.7 MB; the exact number is not published
            sha256="4b8edcf93af46e2a658ae455574de62873778a5cc3fd8e8adf094dcdfa957cf2",
            weak="it comes from one list that is not the authors', and it is unsure of which release",
            repo="xinghaochen/tinysam",
            url="https://github.com/xinghaochen/TinySAM/releases/download/1.0/tinysam.pth",
        ),
        params=9_808_452,
        encoder_side=1024,
        prompt_side=1024,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        paper="https://arxiv.org/abs/2312.13789",
        repository="https://github.com/xinghaochen/TinySAM",
        speed="fast",
        # The encoder is MobileSAM's, which gives wrong masks in float16.
        unsafe_dtypes=frozenset({("cpu", "float16"), ("cuda", "float16"), ("mps", "float16")}),
        published=(
            Figure(
                "COCO mask AP, ViTDet boxes", 41.9, "README of the official repository; a later release 42.3"
            ),
            Figure("LVIS mask AP, ViTDet boxes", 38.6, "README of the official repository"),
            Figure("COCO box mIoU", 73.7, "survey, arXiv 2410.04960"),
            Figure("encode + 1 prompt, T4 with TensorRT, ms", 38.4, "TinySAM's paper, arXiv 2312.13789"),
            Figure("encode + 1 prompt, CPU, ms", 422, "survey, arXiv 2410.04960"),
        ),
        notes="MobileSAM's network with other weights; one answer is the best of its three candidates.",
        experimental=True,
    ),
)
