"""Licences that a user has to accept by name before the weights are used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lightsam_plugins.errors import LicenceNotAccepted

if TYPE_CHECKING:
    from lightsam_plugins.model_spec import ModelSpec

VARIABLE = (
    "LIGHTSAM_ACCEPT_LICENCES"  # names with commas between; for hosts and commands that only name a model
)


def require_licence(spec: ModelSpec, accepted: str | None = None) -> None:
    """Refuse a model with `spec.licence_terms` until its licence is named, here or in the environment.

    Args:
        spec: The model.
        accepted: Name of the licence that the user accepts.

    Raises:
        LicenceNotAccepted: The licence of the weights is not the one named.
    """
    licence = spec.licence_weights
    named = [accepted, *(name.strip() for name in os.environ.get(VARIABLE, "").split(","))]
    if spec.licence_terms is None or licence in named:
        return
    raise LicenceNotAccepted(
        f"the weights of {spec.name!r} are under the licence {licence}, which restricts their use",
        expected=f"accept_licence={licence!r}",
        got=repr(accepted),
        hint=f"Read {spec.licence_terms}, and if you accept it, say so by its name: "
        f"load({spec.name!r}, accept_licence={licence!r}), "
        f"`lightsam download --accept-licence {licence} {spec.name}`, or {VARIABLE}={licence} for all else.",
    )
