"""RepViT-SAM."""

from __future__ import annotations

from lightsam_plugins.model_spec import Figure, ModelSpec, WeightFile

_README = "README of the official repository"
_SURVEY = "survey, arXiv 2410.04960"

CARDS = (
    ModelSpec(
        name="repvit-sam",
        builder="lightsam_plugins.models.repvit_sam:build",
        weights=WeightFile(
            filename="repvit_sam.pt",
            size=0,  # about 110 MB; the exact number is not published
            # Of the file in the authors' Space (huggingface.co/spaces/jameslahm/repvit-sam), which names the same file.
            sha256="1fd2867cf669e6d89b1c91d0eb883d83ef4bcc590143dd2ca35e2705b21a4f2f",
            url="https://github.com/THU-MIG/RepViT/releases/download/v1.0/repvit_sam.pt",
        ),
        params=27_223_480,
        encoder_side=1024,
        prompt_side=1024,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        paper="https://arxiv.org/abs/2312.05760",
        repository="https://github.com/THU-MIG/RepViT",
        speed="medium",
        published=(
            Figure("COCO mask AP, boxes of a detector", 44.4, f"{_README}; MobileSAM there: 42.7"),
            Figure("COCO box mIoU", 75.1, _SURVEY),
            Figure("encode, Apple M1 Pro with Core ML, ms", 44.8, _README),
            Figure("encode + 1 prompt, CPU, ms", 1013, _SURVEY),
        ),
        notes="RepViT-M2.3 in front of SAM's decoder.",
        experimental=True,
    ),
)
