"""EfficientViT-SAM: L0 to L2 read 512 pixels, XL0 and XL1 read 1024; all take prompts in SAM's 1024 frame.

The hashes are those of the Hub's blob pages, which InterDigital's CompressAI-Vision pins as well; the sizes
are from the list of SAMJ, a plugin of Fiji. An older `l2.pt` has the size of today's file and another hash.
"""

from __future__ import annotations

from typing import Literal

from lightsam_plugins.model_spec import Figure, ModelSpec, WeightFile


def _card(
    variant: str,
    *,
    size: int,
    sha256: str,
    params: int,
    side: int,
    speed: Literal["fast", "medium"],
    published: tuple[Figure, ...],
) -> ModelSpec:
    return ModelSpec(
        name=f"efficientvit-sam-{variant}",
        builder=f"lightsam_plugins.models.efficientvit_sam:build_{variant}",
        weights=WeightFile(
            filename=f"efficientvit_sam_{variant}.pt",
            size=size,
            sha256=sha256,
            repo="mit-han-lab/efficientvit-sam",
        ),
        params=params,
        encoder_side=side,
        prompt_side=1024,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        paper="https://arxiv.org/abs/2402.05008",
        repository="https://github.com/mit-han-lab/efficientvit",
        speed=speed,
        # A float16 encoder gave masks with an mIoU near 0 (Frontiers 2025; L0, XL0 and XL1 in TensorRT), and users
        # report NaN: issues 116, 142 and 160 of the official repository. Attention is computed in float32 here, but
        # without the weights nothing proves that the activations between fit float16.
        unsafe_dtypes=frozenset({("cpu", "float16"), ("cuda", "float16"), ("mps", "float16")}),
        published=published,
        notes=f"SAM's decoder behind an EfficientViT-{variant.upper()} encoder that reads {side} pixels.",
    )


def _readme(coco: float, lvis: float, orin: float, a100: float) -> tuple[Figure, ...]:
    source = "README of the official repository"
    return (
        Figure("COCO mask AP, ViTDet boxes", coco, source),
        Figure("LVIS mask AP, ViTDet boxes", lvis, source),
        Figure("Jetson Orin, TensorRT float16, ms", orin, source),
        Figure("A100, batches of 16, TensorRT float16, images/s", a100, source),
    )


def _survey(box: float, gpu: float, cpu: float) -> tuple[Figure, ...]:
    source = "survey, arXiv 2410.04960"
    return (
        Figure("COCO box mIoU", box, source),
        Figure("RTX 3090, ms", gpu, source),
        Figure("CPU, ms", cpu, source),
    )


CARDS = (
    _card(
        "l0",
        size=139_410_184,
        sha256="c4f994b01a16d48bcf2fbbb089448cfbf58fae5811edfa8113c953b8b8cc64b8",
        params=34_792_784,
        side=512,
        speed="fast",
        published=(*_readme(45.7, 41.8, 8.2, 762), *_survey(78.5, 16, 194)),
    ),
    _card(
        "l1",
        size=190_916_834,
        sha256="fa151df2b9b96896accd505470755cdd293a4c50cdabac95478f3fbd86d9152b",
        params=47_650_128,
        side=512,
        speed="fast",
        published=_readme(46.2, 42.1, 10.2, 638),
    ),
    _card(
        "l2",
        size=245_724_244,
        sha256="d4bfd842224cbb99de09acc3325e81ac5b7e8725c8fbdab152305e5d934bfe4a",
        params=61_328_592,
        side=512,
        speed="fast",
        published=_readme(46.6, 42.7, 12.9, 538),
    ),
    _card(
        "xl0",
        size=468_211_343,
        sha256="9bc2f87bd23d6e6d1f7b5beff910f98835c7c333fac73e695bac0bec685968f8",
        params=116_957_904,
        side=1024,
        speed="medium",
        published=_readme(47.5, 43.9, 22.5, 278),
    ),
    _card(
        "xl1",
        size=814_022_923,
        sha256="10f42277679427c1183dcff19758e536aa86bcc4304e4b387ff48865784be05c",
        params=203_346_128,
        side=1024,
        speed="medium",
        published=(
            *_readme(47.8, 44.4, 37.2, 182),
            Figure("COCO 1-click mIoU", 59.8, "README of the official repository"),
            *_survey(79.9, 52, 1334),
        ),
    ),
)
