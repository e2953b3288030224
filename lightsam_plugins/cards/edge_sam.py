"""EdgeSAM, in its two published trainings."""

from __future__ import annotations

from dataclasses import replace

from lightsam_plugins.model_spec import Figure, ModelSpec, WeightFile

_FOLDER = "https://huggingface.co/spaces/chongzhou/EdgeSAM/resolve/main/weights"
_README = "README of the official repository"
_SURVEY = "survey, arXiv 2410.04960"

_EDGESAM = ModelSpec(
    name="edgesam",
    builder="lightsam_plugins.models.edge_sam:build",
    weights=WeightFile(
        filename="edge_sam.pth",
        size=38_807_540,
        sha256="439b086a20ab6fba90c12cba32e0001ba3aa726da5791ff8738acdd440330991",
        url=f"{_FOLDER}/edge_sam.pth",
    ),
    params=9_582_112,
    encoder_side=1024,
    prompt_side=1024,
    licence_code="S-Lab-1.0",
    licence_weights="S-Lab-1.0",
    paper="https://arxiv.org/abs/2312.06660",
    repository="https://github.com/chongzhou96/EdgeSAM",
    speed="fast",
    published=(
        Figure("COCO mask AP, ViTDet boxes", 42.2, _README),
        Figure("COCO box mIoU", 75.9, _SURVEY),
        Figure("encode + 1 prompt, RTX 2080 Ti, images a second", 164.3, _README),
        Figure("encode + 1 prompt, CPU, ms", 259, _SURVEY),
    ),
    notes="For non-commercial use only (NTU S-Lab License 1.0). Its predicted IoU was not distilled: "
    "scores are the stability of the masks, as its authors advise.",
    experimental=True,
    licence_terms="https://github.com/chongzhou96/EdgeSAM/blob/master/LICENSE",
)

CARDS = (
    _EDGESAM,
    replace(
        _EDGESAM,
        name="edgesam-3x",
        weights=WeightFile(
            filename="edge_sam_3x.pth",
            size=38_807_540,
            sha256="5a3e3261da9e2f4c8154410885689ae57d09cbf4cf5d0c848b9d80b6df336ece",
            url=f"{_FOLDER}/edge_sam_3x.pth",
        ),
        published=(
            Figure("COCO mask AP, ViTDet boxes", 42.7, _README),
            Figure("encode + 1 prompt, RTX 2080 Ti, images a second", 164.3, _README),
        ),
        notes=f"As edgesam, trained on three times as many images. {_EDGESAM.notes}",
    ),
)
