"""An encoder converted for an inference engine: once, then taken from the cache."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

import numpy as np
import torch

from lightsam_plugins.engines import PACKAGES
from lightsam_plugins.engines.graph import EncoderGraph, export_encoder, sample_images
from lightsam_plugins.engines.store import digest, stored
from lightsam_plugins.errors import EngineError, LightSamError, in_short

if TYPE_CHECKING:
    from lightsam_plugins.model_spec import ModelSpec
    from lightsam_plugins.types import Features, FloatArray

    Session: TypeAlias = Callable[[FloatArray], list[FloatArray]]

logger = logging.getLogger(__name__)

_NAMES = "maps.json"  # names of the maps in the order of the engine's outputs
TOLERANCE = 1e-3  # relative error of each map in float32, beside torch


class Engine(Protocol):
    """What an engine's module has."""

    @staticmethod
    def convert(program: torch.export.ExportedProgram, folder: Path) -> None:
        """Write an exported encoder to `folder` in the engine's form."""
        ...

    @staticmethod
    def open_session(folder: Path, shape: tuple[int, ...], threads: int, *, bfloat16: bool) -> Session:
        """Make it ready for images of one shape; a session may be used from several threads at once."""
        ...


class ConvertedEncoder:
    """Images in, features out, as `Network.encode`; from several threads at once.

    Images go through one by one: of eight in one batch each took what one alone takes (0.98 of it, `nano` in
    OpenVINO, one thread), and fixed shapes are 5 % (float32) to 30 % (bfloat16) faster than dynamic ones.

    Args:
        engine: One of `CONVERTED`.
        network: The whole network, in float32.
        spec: Its model card.
        dtype: Precision of the engine, and of the features.

    Raises:
        EngineError: The network cannot be converted, or the engine answers otherwise than torch.
    """

    def __init__(self, engine: str, network: torch.nn.Module, spec: ModelSpec, dtype: torch.dtype) -> None:
        self.engine, self.spec, self.dtype = engine, spec, dtype
        self._module = cast("Engine", import_module(f"lightsam_plugins.engines.{engine}_engine"))
        self._graph = EncoderGraph(network).eval()
        self._sessions: dict[tuple[tuple[int, ...], int], Session] = {}
        self._lock = threading.Lock()
        versions = [f"{name} {version(name)}" for name in ("lightsam-plugins", "torch", *PACKAGES[engine])]
        key = f"{spec.name}-{engine}-{digest(network, *versions)}"
        self._folder = stored(key, self._convert)
        self._names: list[str] = json.loads((self._folder / _NAMES).read_text("utf-8"))

    def __call__(self, images: torch.Tensor) -> Features:
        """Encode (B, 3, H, W) normalised float32 images."""
        session = self._session(tuple(images.shape[1:]))
        found = [session(image[None].numpy()) for image in images]
        maps = (torch.from_numpy(np.concatenate(rows)) for rows in zip(*found, strict=True))
        return self._graph.finish(dict(zip(self._names, maps, strict=True)), self.dtype)

    def _session(self, shape: tuple[int, ...]) -> Session:
        """The session for images of this shape, with as many threads as torch has now."""
        key = shape, torch.get_num_threads()
        with self._lock:
            if key not in self._sessions:
                self._sessions[key] = self._open(self._folder, *key, bfloat16=self.dtype == torch.bfloat16)
            return self._sessions[key]

    def _open(self, folder: Path, shape: tuple[int, ...], threads: int, *, bfloat16: bool) -> Session:
        return self._module.open_session(folder, (1, *shape), threads, bfloat16=bfloat16)

    def _convert(self, folder: Path) -> None:
        """Fill `folder`, and compare the engine with torch on noise.

        Raises:
            EngineError: It cannot be converted, or the answers differ.
        """
        what = f"the encoder of {self.spec.name!r}"
        logger.info("converting %s for %s: this is done once", what, self.engine)
        program = export_encoder(self._graph, self.spec)
        images = sample_images(self.spec)
        try:
            self._module.convert(program, folder)
            session = self._open(folder, tuple(images.shape[1:]), torch.get_num_threads(), bfloat16=False)
        except LightSamError:
            raise
        except (
            Exception
        ) as error:  # whatever an engine raises, of classes that are known only where it is installed
            raise EngineError(
                f"{what} cannot be converted for {self.engine}",
                got=in_short(error),
                hint="Leave engine out: torch runs every model.",
            ) from error
        with torch.inference_mode():
            expected = self._graph.maps(images)
        for (name, right), found in zip(expected.items(), session(images.numpy()), strict=True):
            apart = float((torch.from_numpy(found) - right).norm() / right.norm())
            if not apart <= TOLERANCE:
                raise EngineError(
                    f"{self.engine} answers otherwise than torch for {what}, map {name!r}",
                    expected=f"a relative error up to {TOLERANCE:g}",
                    got=f"{apart:.2g}",
                    hint="Leave engine out, and please report it with the versions that lightsam doctor shows.",
                )
        (folder / _NAMES).write_text(json.dumps(list(expected)), "utf-8")
