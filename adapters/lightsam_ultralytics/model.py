"""`LightSAM`: called like `ultralytics.SAM`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ultralytics.engine.results import Results
from ultralytics.utils.callbacks import get_default_callbacks
from ultralytics.utils.torch_utils import select_device

import lightsam_plugins as ls
from lightsam_plugins.adapter_arguments import check_options
from lightsam_plugins.embedding_cache import EmbeddingCache
from lightsam_plugins.errors import check_flags
from lightsam_plugins.everything_options import EverythingKeywords
from lightsam_ultralytics.arguments import check_arguments
from lightsam_ultralytics.predictor import Predictor
from lightsam_ultralytics.prompts import Prompts
from lightsam_ultralytics.refiner import Refiner

_ELSEWHERE = {
    "track": "Tracked boxes get masks by sam.refine(yolo.track(source, stream=True))",
    "info": "sam.model.spec, or lightsam models, tells what it is",
    "export": "lightsam export writes ONNX files",
    "to": "sam(source, device=...) moves it; sam.model.device says where it is",
}


class LightSAM(Refiner):
    """A model with Ultralytics' sources, callbacks, saving and results.

    Args:
        model: Name of a model, see `lightsam_plugins.list_models`, or one that is loaded already.
        **options: How to load the model, as in `lightsam_plugins.load`: device, weights, dtype and so on.
    """

    def __init__(self, model: str | ls.Segmenter = "nano", **options: Any) -> None:
        super().__init__(model, **options)
        self.callbacks = get_default_callbacks()
        self._cache = EmbeddingCache(self.model)

    def __call__(
        self, source: Any, stream: bool = False, **arguments: Any
    ) -> list[Results] | Iterator[Results]:
        """As `predict`."""
        return self.predict(source, stream, **arguments)

    def predict(
        self,
        source: Any,
        stream: bool = False,
        *,
        bboxes: Any = None,
        points: Any = None,
        labels: Any = None,
        masks: Any = None,
        everything: EverythingKeywords | None = None,
        **arguments: Any,
    ) -> list[Results] | Iterator[Results]:
        """Segment what prompts point at in each image of a source, or everything where there are none.

        Of the same image, by its pixels, the encoding is kept: another prompt costs its decoding only.

        Args:
            source: Whatever Ultralytics takes: a file, folder, glob, video, URL, array (BGR), tensor, PIL image,
                stream; or a list of images.
            stream: Return a generator, which holds one batch at a time.
            bboxes: (4,) or (N, 4) ``xyxy`` in pixels of the image. The same prompts go to each image of a source, but
                of a list of images, or a tensor of several, each kind of prompt is a list of one entry an image.
            points: As in Ultralytics: (2,) or (N, 2) are N objects of a point each, (N, P, 2) N objects.
            labels: (N,) or (N, P): 1 foreground (the default), 0 background.
            masks: (N, H, W) masks in pixels of the image to be made better, or (N, 256, 256) logits.
            everything: Options of everything mode, as of `lightsam_plugins.Segmenter.everything`.
            **arguments: Of Ultralytics' engine: save, show, save_txt, project, name, vid_stride, verbose, batch,
                device and so on. `conf` drops masks of a predicted IoU up to it, `classes` keeps rows of these
                prompts, `max_det` so many of the best; nothing is dropped without.

        Returns:
            `ultralytics.engine.results.Results`, in the order of the source. Rows are in the order of the prompts, and
            the class of a row is the index of its prompt, in Ultralytics' SAM too.

        Raises:
            lightsam_plugins.InputError: Prompts that cannot be used, with the image they are for, or an argument of
                Ultralytics that would have no effect; a ValueError.
            SyntaxError: An argument that Ultralytics does not know.
            FileNotFoundError: A source that is not there.
        """
        given = {"bboxes": bboxes, "points": points, "labels": labels, "masks": masks}
        check_flags(stream=stream)
        check_arguments(arguments, [*given, "everything"], self.model.spec.encoder_side)
        check_options(everything or {}, given)
        if (device := arguments.get("device")) is not None:
            self._move(str(select_device(device, verbose=False)))
        prompts = Prompts.of(source, given, everything or {})
        fixed = {"task": "segment", "mode": "predict", "retina_masks": True}
        settings = {"batch": 1, "save": False, **arguments, **fixed}
        predictor = Predictor(self._cache, prompts, settings, self.callbacks)
        return predictor(source, stream=stream)  # type: ignore[no-any-return]

    def add_callback(self, event: str, function: Callable[[Any], None]) -> None:
        """Call a function at an event of the engine, such as ``on_predict_batch_end``, with the predictor."""
        self.callbacks[event].append(function)

    def __getattr__(self, name: str) -> Any:
        hint = _ELSEWHERE.get(name, "Call it: sam(source, bboxes=...); its network is sam.model")
        raise AttributeError(f"LightSAM has no {name!r}. {hint}.")

    def _move(self, device: str) -> None:
        moved = self.model.to(device)
        if moved is not self.model:
            self.model, self._cache = moved, EmbeddingCache(moved)
