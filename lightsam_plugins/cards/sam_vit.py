"""Segment Anything in its three sizes."""

from __future__ import annotations

from lightsam_plugins.model_spec import Figure, ModelSpec, WeightFile

_FOLDER = "https://dl.fbaipublicfiles.com/segment_anything"
_PAPER = "https://arxiv.org/abs/2304.02643"
_REPOSITORY = "https://github.com/facebookresearch/segment-anything"
# Users of the official code report garbage from the encoder in float16 (its issues 540 and 696).
_UNSAFE = frozenset({("cpu", "float16"), ("cuda", "float16"), ("mps", "float16")})
_FASTSAM = "FastSAM's README, RTX 3090"
_TINYSAM = "TinySAM's paper, arXiv 2312.13789"
_SURVEY = "survey, arXiv 2410.04960"

CARDS = (
    ModelSpec(
        name="sam-vit-b",
        builder="lightsam_plugins.models.sam_vit:build_b",
        weights=WeightFile(
            filename="sam_vit_b_01ec64.pth",
            size=375_042_383,
            sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
            url=f"{_FOLDER}/sam_vit_b_01ec64.pth",
        ),
        params=93_735_472,
        encoder_side=1024,
        prompt_side=1024,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        paper=_PAPER,
        repository=_REPOSITORY,
        speed="slow",
        unsafe_dtypes=_UNSAFE,
        published=(
            Figure("COCO mask AP, ViTDet boxes", 43.4, f"{_TINYSAM}; its README says 41.0 for single masks"),
            Figure("encode + 1 prompt, one GPU, ms", 110, _FASTSAM),
            Figure("encode + 1 prompt, T4 with TensorRT, ms", 368.8, _TINYSAM),
        ),
        notes="The smallest of the original models; the light ones are measured against its big brother.",
    ),
    ModelSpec(
        name="sam-vit-l",
        builder="lightsam_plugins.models.sam_vit:build_l",
        weights=WeightFile(
            filename="sam_vit_l_0b3195.pth",
            size=1_249_524_607,
            sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
            url=f"{_FOLDER}/sam_vit_l_0b3195.pth",
        ),
        params=312_342_832,
        encoder_side=1024,
        prompt_side=1024,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        paper=_PAPER,
        repository=_REPOSITORY,
        speed="slow",
        unsafe_dtypes=_UNSAFE,
        published=(
            Figure("COCO mask AP, ViTDet boxes", 46.2, f"{_TINYSAM}; its README says 45.5 for single masks"),
            Figure("encode + 1 prompt, T4 with TensorRT, ms", 1146, _TINYSAM),
        ),
        notes="Nearly as good as ViT-H at half its size. Takes 1.3 GB of memory for the weights.",
    ),
    ModelSpec(
        name="sam-vit-h",
        builder="lightsam_plugins.models.sam_vit:build_h",
        weights=WeightFile(
            filename="sam_vit_h_4b8939.pth",
            size=2_564_550_879,
            sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
            url=f"{_FOLDER}/sam_vit_h_4b8939.pth",
        ),
        params=641_090_608,
        encoder_side=1024,
        prompt_side=1024,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        paper=_PAPER,
        repository=_REPOSITORY,
        speed="slow",
        unsafe_dtypes=_UNSAFE,
        published=(
            Figure("COCO box mIoU", 78.4, "EfficientSAM's paper, arXiv 2312.00863"),
            Figure("COCO 1-click mIoU", 55.6, "EfficientSAM's paper, arXiv 2312.00863"),
            Figure("COCO mask AP, ViTDet boxes", 46.5, "EfficientSAM's paper; other papers say 46.1 to 46.8"),
            Figure("encode + 1 prompt, one GPU, ms", 446, _FASTSAM),
            Figure("encode + 1 prompt, CPU, ms", 9470, _SURVEY),
        ),
        notes="The yardstick: what the light models were taught by. Takes 2.6 GB of memory for the weights.",
    ),
)
