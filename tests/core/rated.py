"""What `decode_above` promises of any network."""

from typing import Any

import torch

from lightsam_plugins.types import Features, PromptBatch


def check_above(
    network: Any, features: Features, prompts: PromptBatch, passing: int, **tolerance: float
) -> None:
    """The `passing` best of all candidates are those of a whole `decode`, in the same order; so are all scores."""
    all_logits, all_scores = network.decode(features, prompts, multimask=True)
    ranked = all_scores.flatten().sort(descending=True).values
    threshold = float(torch.cat([ranked, ranked[-1:] - 1])[passing])

    logits, scores = network.decode_above(features, prompts, threshold)

    assert len(logits) == passing
    torch.testing.assert_close(scores, all_scores)
    torch.testing.assert_close(logits, all_logits[all_scores > threshold], **tolerance)
