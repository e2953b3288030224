"""MobileSAMv2, behind three encoders.

A model is three files: an encoder, the prompt-guided decoder and the object-aware detector. Encoders are fetched from
where their own models are, whose hashes are known: the authors' files of MobileSAMv2 have none that is published.
"""

from __future__ import annotations

from dataclasses import replace

from lightsam_plugins.cards.mobile_sam import CARDS as MOBILE_SAM
from lightsam_plugins.cards.sam_vit import CARDS as SAM
from lightsam_plugins.model_spec import Figure, ModelSpec, WeightFile

_RAW = "https://github.com/ChaoningZhang/MobileSAM/raw/master/MobileSAMv2/PromptGuidedDecoder"
_PAPER = "MobileSAMv2's paper, arXiv 2312.09579"

_DECODER = WeightFile(
    filename="Prompt_guided_Mask_Decoder.pt",
    size=0,  # the exact number is not published; the git blob id depends on it
    git_blob="c13b15a3a4496dbcba5f4f0d3e8453f41d818420",
    url=f"{_RAW}/Prompt_guided_Mask_Decoder.pt",
    part="decoder",
)
_DETECTOR = WeightFile(
    filename="weight/ObjectAwareModel.pt",
    size=0,  # about 140 MB; the exact number is not published
    sha256="4d99244a9c7a4d7330af28d1801ebee362fa469ac564b57c8eab48b43e4e64a1",
    weak="it comes from one mirror that is not the authors', and was never compared with their archive",
    repo="yuwendu/MobileSAM_utils",
    url="https://huggingface.co/RogerQi/MobileSAMV2/resolve/main/ObjectAwareModel.pt",
    part="detector",
)
_L2 = WeightFile(
    filename="l2.pt",
    size=245_724_244,
    sha256="f087f8287d5b3791020be8b0346a35dae0849dd191bf165178bf947e0df868cc",
    weak="it is of the file that EfficientViT's authors published when MobileSAMv2 appeared; that the mirror has that"
    " one is inferred from name, size and date",
    repo="RogerQi/MobileSAMV2",
    part="encoder",
)

# The detector's boxes would be right within 4 pixels in bfloat16, as FastSAM's; the encoders are unsafe in float16.
_UNSAFE = frozenset((device, dtype) for device in ("cpu", "cuda", "mps") for dtype in ("float16", "bfloat16"))

# The detected boxes are the answer as they are: confident enough, suppressed already, all decoded at once (there are
# 300 at most; a CPU takes fewer).
_EVERYTHING = {
    "pred_iou_thresh": 0.4,
    "stability_score_thresh": 0.0,
    "box_nms_thresh": 1.0,
    "points_per_batch": 320,
}
_BGR = (
    "everything() segments the boxes of a detector, which sees RGB; detector_bgr=True swaps red and blue for it, as the"
    " official code does by mistake, to reproduce its results."
)
_LICENCE = (
    "The official code is Apache-2.0, but the detector Ultralytics' YOLOv8: take its weights as AGPL-3.0."
)

_MOBILE_SAM_V2 = ModelSpec(
    name="mobilesamv2",
    builder="lightsam_plugins.models.mobile_sam_v2:build",
    weights=replace(MOBILE_SAM[0].weights, part="encoder"),
    more_weights=(_DECODER, _DETECTOR),
    params=81_560_263,
    encoder_side=1024,
    prompt_side=1024,
    licence_code="Apache-2.0",
    licence_weights="AGPL-3.0",
    paper="https://arxiv.org/abs/2312.09579",
    repository="https://github.com/ChaoningZhang/MobileSAM/tree/master/MobileSAMv2",
    speed="fast",
    everything_defaults=_EVERYTHING,
    unsafe_dtypes=_UNSAFE,
    published=(
        Figure("LVIS mask AR@1000, everything mode", 51.1, _PAPER),
        Figure("find and decode up to 320 boxes, one GPU, ms", 97, f"{_PAPER}; encoding is left out"),
        Figure("everything mode, RTX 3090, ms", 173, "survey, arXiv 2410.04960"),
    ),
    notes=f"MobileSAM's encoder. {_BGR} {_LICENCE}",
)

CARDS = (
    _MOBILE_SAM_V2,
    replace(
        _MOBILE_SAM_V2,
        name="mobilesamv2-efficientvit-l2",
        builder="lightsam_plugins.models.mobile_sam_v2:build_efficientvit_l2",
        weights=_L2,
        params=133_080_403,
        published=(
            Figure("LVIS mask AR@1000, everything mode", 56.3, _PAPER),
            Figure("encode, one GPU, ms", 20, f"{_PAPER}; about"),
        ),
        notes=f"EfficientViT-SAM-L2's encoder. {_BGR} {_LICENCE}",
    ),
    replace(
        _MOBILE_SAM_V2,
        name="mobilesamv2-vit-h",
        builder="lightsam_plugins.models.mobile_sam_v2:build_vit_h",
        weights=replace(SAM[2].weights, part="encoder"),
        params=712_842_419,
        speed="slow",
        published=(Figure("LVIS mask AR@1000, everything mode", 59.3, _PAPER),),
        notes=f"SAM's ViT-H encoder. {_BGR} {_LICENCE}",
    ),
)
