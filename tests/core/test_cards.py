"""Every card of the registry is complete, and true of the network that it stands for."""

from __future__ import annotations

import re

import pytest
import torch

from lightsam_plugins.registry import build_network, list_models, model_card

LICENCES = {"Apache-2.0", "AGPL-3.0", "S-Lab-1.0"}
NO_FIGURES = {"nano", "fastsam-s"}  # ours are in docs/nano.md; of FastSAM-s none was published


@pytest.mark.parametrize("name", list_models())
def test_a_card_is_complete(name: str) -> None:
    """Paper, repository, licences, sources, identities, prompts and published numbers with their sources are there."""
    card = model_card(name)

    assert card.name == name
    if not card.weights.bundled:
        assert all(re.match(r"https://\S+$", url) for url in (card.paper, card.repository))
    assert {card.licence_code, card.licence_weights} <= LICENCES
    assert card.prompts >= {"point", "box", "everything"}
    assert card.notes
    for file in card.files:
        assert file.bundled or file.repo or file.url
        assert re.fullmatch("[0-9a-f]{64}", file.sha256 or "0" * 64)
        assert re.fullmatch("[0-9a-f]{40}", file.git_blob or "0" * 40)
        assert file.sha256 or file.git_blob
    assert bool(card.published) == (name not in NO_FIGURES)
    assert all(figure.what and figure.value > 0 and figure.source for figure in card.published)


@pytest.mark.parametrize("name", list_models())
def test_the_card_counts_the_parameters(name: str) -> None:
    """The number on the card is that of the network."""
    with torch.device("meta"):
        network = build_network(model_card(name))

    assert sum(weight.numel() for weight in network.parameters()) == model_card(name).params


def test_non_commercial_weights_have_to_be_accepted() -> None:
    """Every card whose licence is not an open one names the terms to accept, and no other."""
    asked = {name for name in list_models() if model_card(name).licence_terms}

    assert asked == {name for name in list_models() if model_card(name).licence_weights == "S-Lab-1.0"}
    assert asked == {"edgesam", "edgesam-3x"}
