"""The extra that evaluation needs, asked for before any work is done."""

from __future__ import annotations

from lightsam_plugins.extras import require_packages

PACKAGES = ("cv2", "matplotlib", "skimage")


def require_extra() -> None:
    """Check that everything of the extra ``evaluate`` is installed.

    Raises:
        MissingExtra: Something is not.
    """
    require_packages("evaluate", PACKAGES, "evaluation")
