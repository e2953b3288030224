"""What `nano` answers to each click of a grid, in place of the noise that seeded weights answer.

The networks on both sides compute as ever; then their ratings and masks are replaced. Everything mode's time depends on
which masks there are, and masks of noise cover half of the image each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import lightsam_plugins as ls
from lightsam_plugins.models.sam_network import SamNetwork
from lightsam_plugins.types import Features, PromptBatch

CHUNK = 16


class Answers:
    """The candidates of `side` x `side` clicks, row by row.

    Args:
        image: A square photo; its frame is then all of the input of either model.
        side: Clicks a side.
        threshold: Predicted IoU up to which a mask is not kept: nobody looks at it.

    Attributes:
        scores: (side * side, 3) predicted IoU.
        logits: By click and candidate, (256, 256) of those above the threshold.
    """

    def __init__(self, image: npt.NDArray[np.uint8], side: int, threshold: float) -> None:
        nano = ls.load("nano", device="cpu")
        embedding = nano.embed(image)
        self.side, self.threshold = side, threshold
        y, x = np.mgrid[:side, :side].reshape(2, -1)
        clicks = (np.stack([x, y], 1)[:, None] + 0.5) * len(image) / side
        scores = []
        self.logits: dict[tuple[int, int], torch.Tensor] = {}
        for start in range(0, len(clicks), CHUNK):
            found = nano.segment(embedding, points=clicks[start : start + CHUNK], multimask=True)
            scores.append(found.scores.reshape(-1, 3))
            for row in np.flatnonzero(found.scores > threshold):
                self.logits[start + int(row) // 3, int(row) % 3] = torch.from_numpy(found[int(row)].logits[0])
        self.scores = torch.from_numpy(np.concatenate(scores))

    def fill(self, logits: torch.Tensor, clicks: Sequence[int]) -> torch.Tensor:
        """(N, 3, 256, 256) logits of these clicks, in place."""
        for row, click in enumerate(clicks):
            for candidate in range(3):
                known = self.logits.get((click, candidate))
                logits[row, candidate] = -9 if known is None else known
        return logits


class Official(torch.nn.Module):
    """The official mask decoder, asked for the clicks in their order, over and over.

    Args:
        decoder: It.
        answers: What it answers.
    """

    def __init__(self, decoder: torch.nn.Module, answers: Answers) -> None:
        super().__init__()
        self.decoder, self.answers, self.next = decoder, answers, 0

    def forward(self, **inputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, 3, 256, 256) and predicted IoU (N, 3) of the next N clicks."""
        logits, _ = self.decoder(**inputs)
        clicks = range(self.next, self.next + len(logits))
        self.next = clicks.stop % len(self.answers.scores)
        return self.answers.fill(logits, clicks), self.answers.scores[clicks.start : clicks.stop]


def replay(network: SamNetwork, answers: Answers) -> None:
    """Let our network answer so, in place; it is told the clicks, and may leave some out."""
    decoder = network.mask_decoder
    decode_above, rate, draw = network.decode_above, decoder.rate, decoder.draw
    asked: list[int] = []
    now: list[int] = []

    def decode(features: Features, prompts: PromptBatch, threshold: float) -> Any:
        cells = (prompts.points[:, 0] * answers.side / 1024).long()
        asked[:] = (cells[:, 1] * answers.side + cells[:, 0]).tolist()
        return decode_above(features, prompts, threshold)

    def rated(tokens: torch.Tensor) -> torch.Tensor:
        scores = rate(tokens)
        now[:] = asked[: len(tokens)]
        del asked[: len(tokens)]
        scores[:, 1:] = answers.scores[now]
        return scores

    def drawn(tokens: torch.Tensor, image: torch.Tensor, wanted: Sequence[int]) -> torch.Tensor:
        best = answers.scores[now].amax(1) > answers.threshold
        return answers.fill(draw(tokens, image, wanted), [now[row] for row in best.nonzero()[:, 0].tolist()])

    network.decode_above, decoder.rate, decoder.draw = decode, rated, drawn  # type: ignore[method-assign]
