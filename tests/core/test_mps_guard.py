"""Apple's MPS backend without a Mac: models call no operator that MPS lacks, and none sees a float64."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from seeded import photo, seeded_segmenter
from torch.utils._python_dispatch import TorchDispatchMode

from lightsam_plugins.low_res import low_res_boxes, stability_scores
from lightsam_plugins.registry import list_models
from lightsam_plugins.types import LOW_RES, Frame, PromptBatch

# Operators that torch 2.15 does not have on MPS for any dtype: torch/testing/_internal/common_mps.py,
# UNIMPLEMENTED_XFAILLIST, "Failures due to lack of op implementation on MPS backend", by their aten names.
NEVER = {
    "_adaptive_avg_pool3d",
    "_pdist_forward",
    "adaptive_max_pool3d",
    "fractional_max_pool2d",
    "fractional_max_pool3d",
    "hash_tensor",
    "linalg_eig",
    "linalg_eigvals",
    "linalg_ldl_factor_ex",
    "linalg_ldl_solve",
    "mode",
    "multi_margin_loss",
    "multilabel_margin_loss_forward",
    "ormqr",
    "rrelu_with_noise",
    "segment_reduce",
    "sparse_sampled_addmm",
    "special_airy_ai",
    "special_legendre_polynomial_p",
    "special_log_ndtr",
    "special_ndtri",
}
# There, but only where the input's sides are multiples of the output's (same list).
PICKY = {"_adaptive_avg_pool2d"}
# Came to MPS after torch 2.4, the oldest this package runs with: pytorch#145526, pytorch#149378, pytorch#77764.
LATE = {"_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa", "upsample_bicubic2d"}
WIDE = (torch.float64, torch.complex128)


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """All tensors in the arguments or results of an operator."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))


class MpsGuard(TorchDispatchMode):
    """Records the operators that are called, and those that touch a float64."""

    def __init__(self) -> None:
        super().__init__()
        self.called: set[str] = set()
        self.wide: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See every operator below autograd, as a backend does."""
        kwargs = kwargs or {}
        with self:
            # In inference mode composite operators arrive whole: what counts are the operators they are made of.
            result = func.decompose(*args, **kwargs)
        if result is not NotImplemented:
            return result
        result = func(*args, **kwargs)
        name = func._schema.name.removeprefix("aten::")
        self.called.add(name)
        if any(tensor.dtype in WIDE for tensor in tensors([args, kwargs, result])):
            self.wide.add(name)
        return result


@pytest.mark.parametrize("name", list_models())
def test_the_whole_path_fits_mps(name: str) -> None:
    """Encoding, prompting in every way and everything mode use no float64 and no operator that MPS lacks."""
    model, guard = seeded_segmenter(name), MpsGuard()
    with guard:
        embedding = model.embed(photo(120, 160))
        for prompts in every_prompt(model.spec.prompts):
            assert len(model.segment(embedding, **prompts).dense()) == 1
            model.segment(embedding, **prompts, multimask=True)
        if "everything" in model.spec.prompts:
            model.everything(embedding, points_per_side=2, pred_iou_thresh=0, stability_score_thresh=0)

    assert {"convolution", "add"} & guard.called
    assert guard.wide == set()
    assert guard.called & (NEVER | PICKY | LATE) == set()


@pytest.mark.parametrize("name", ["edgesam", "efficientvit-sam-l0", "mobilesam", "sam-vit-b", "tinysam"])
def test_decoding_waits_for_no_device(name: str) -> None:
    """From prompts to low-resolution logits SAM's decoders ask for no value of a tensor, which a GPU would wait for."""
    model = seeded_segmenter(name)
    embedding = model.embed(photo(120, 160))
    for prompts in every_prompt(model.spec.prompts):
        with MpsGuard() as guard:
            model.segment(embedding, **prompts)
        assert guard.called & {"_local_scalar_dense", "nonzero", "is_nonzero", "masked_select"} == set()
    labels = torch.tensor([[1, -1]])
    with torch.inference_mode(), MpsGuard() as guard:
        model.network.prompt_encoder(PromptBatch(torch.ones(1, 2, 2), labels))
    assert "_local_scalar_dense" in guard.called, (
        "the guard sees it where the batch does not say what it holds"
    )


def test_filters_of_everything_mode_fit_mps() -> None:
    """What an accelerator computes itself, where the CPU has numpy: the same numbers, with operators of MPS."""
    logits = torch.randn(5, LOW_RES, LOW_RES, generator=torch.Generator().manual_seed(0))
    frame = Frame(120, 160, 1024)
    with torch.inference_mode(), MpsGuard() as guard:
        boxes, stability = low_res_boxes(logits, frame), stability_scores(logits, frame, offset=0.5)

    assert guard.wide == guard.called & (NEVER | PICKY | LATE) == set()
    np.testing.assert_array_equal(boxes, low_res_boxes(logits.numpy(), frame))
    np.testing.assert_array_equal(stability, stability_scores(logits.numpy(), frame, offset=0.5))


def every_prompt(kinds: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Each kind of prompt that a model takes, alone."""
    if "box" in kinds:
        yield {"boxes": np.array([10.0, 20, 90, 80])}
    if "point" in kinds:
        yield {"points": np.array([[50.0, 60]])}
        yield {"points": [[50, 60], [0, 0]], "point_labels": [1, -1]}
    if "negative_point" in kinds:
        yield {"points": [[50, 60], [90, 90]], "point_labels": [1, 0]}
    if "mask" in kinds:
        yield {"mask_input": np.ones((256, 256)), **({"boxes": [10, 20, 90, 80]} if "box" in kinds else {})}


@pytest.mark.parametrize(
    ("call", "operator"),
    [
        (lambda: torch.zeros(2, dtype=torch.float64), "zeros"),
        (lambda: torch.from_numpy(np.ones(2)).to(torch.float32), "_to_copy"),
        (lambda: torch.ones(2).double(), "_to_copy"),
        (lambda: torch.linspace(0, 1, 3, dtype=torch.float64), "linspace"),
    ],
)
def test_the_guard_sees_float64(call: Any, operator: str) -> None:
    """The guard notices a float64 that is made, converted to, or converted from."""
    with torch.inference_mode(), MpsGuard() as guard:
        call()

    assert operator in guard.wide


def test_the_guard_sees_operators_by_name() -> None:
    """The guard sees through functions of torch to the operators that a backend must have."""
    with torch.inference_mode(), MpsGuard() as guard:
        torch.nn.functional.adaptive_avg_pool2d(torch.ones(1, 1, 6, 6), 4)
        torch.nn.functional.interpolate(torch.ones(1, 1, 6, 6), (4, 4), mode="bilinear", antialias=True)
        torch.ones(3).mode()

    assert guard.called >= {"_adaptive_avg_pool2d", "_upsample_bilinear2d_aa", "mode"}


def test_listed_operators_exist() -> None:
    """The names in the lists are operators of this torch: a misspelt one would guard nothing."""
    assert {name for name in NEVER | PICKY | LATE if not hasattr(torch.ops.aten, name)} <= {"hash_tensor"}
