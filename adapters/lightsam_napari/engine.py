"""The model and the planes it has read; everything here runs on the worker's thread."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from lightsam_napari.hover import spans
from lightsam_napari.prompts import Prompts
from lightsam_plugins.errors import Cancelled

if TYPE_CHECKING:
    from lightsam_napari.models import Models
    from lightsam_napari.pixels import Picture
    from lightsam_napari.worker import Ticket
    from lightsam_plugins.segmenter import Segmenter
    from lightsam_plugins.types import Embedding
    from lightsam_plugins.upsample import Crop

Granularity = Literal["best", "small", "medium", "large"]
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)
_AT_ONCE = 16  # objects between two looks at whether the job is still wanted


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """One object: its pixels, how sure the model is, and what was asked."""

    crop: Crop
    score: float
    model: str
    prompts: Prompts


class EmbeddingCache:
    """The planes read last, up to a number of bytes; the last one is kept whatever its size."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._kept: OrderedDict[Any, Embedding] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Any) -> bool:
        return key in self._kept

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(embedding.nbytes for embedding in self._kept.values())

    def get(self, key: Any) -> Embedding | None:
        """An embedding that is kept, now the youngest."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: Any, embedding: Embedding) -> None:
        """Keep an embedding; the ones used longest ago go."""
        self._kept[key] = embedding
        self._kept.move_to_end(key)
        while self.nbytes > self.limit and len(self._kept) > 1:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Keep nothing."""
        self._kept.clear()


class Engine:
    """The present model, loaded at the first job, and the embeddings it made.

    Args:
        models: Where the model is.
        cache_bytes: How much memory embeddings may take.
        reading: Called with whether a plane is being read, at the start and at the end.
    """

    def __init__(
        self, models: Models, cache_bytes: int, reading: Callable[[bool], None] = lambda _: None
    ) -> None:
        self.cache = EmbeddingCache(cache_bytes)
        self.wanted: Any = None  # key of the picture that is on the screen; its encoding is never given up
        self._models, self._reading = models, reading
        self._last: tuple[Any, Found] | None = None

    @property
    def model(self) -> Segmenter | None:
        """The present model; None before the first job."""
        return self._models.current

    def known(self, picture: Picture, prompts: Prompts, granularity: Granularity) -> Found | None:
        """The last answer where it is the one to this question; from any thread."""
        last = self._last
        return last[1] if last and last[0] == (picture.key, prompts, granularity, self.model) else None

    def holds(self, picture: Picture) -> bool:
        """Whether a plane that the present model has encoded is in memory; from any thread."""
        return self._key(picture) in self.cache

    def embedding(self, picture: Picture, ticket: Ticket) -> Embedding:
        """A plane encoded, or taken from the cache.

        Raises:
            Cancelled: Nobody waits for it any more.
        """
        if (kept := self.cache.get(self._key(picture))) is not None:
            return kept
        self._reading(True)
        try:
            model = self._models.ready()
            image = picture.read()
            if self._given_up(ticket, picture, model):
                raise Cancelled("reading the image was stopped")
            embedding = model.embed(image, keep_going=lambda: not self._given_up(ticket, picture, model))
        finally:
            self._reading(False)
        self.cache.put((picture.key, model.name, str(model.device)), embedding)
        return embedding

    def segment(self, picture: Picture, prompts: Prompts, granularity: Granularity, ticket: Ticket) -> Found:
        """The object that some prompts point at."""
        if known := self.known(picture, prompts, granularity):
            return known
        embedding, model = self._encoded(picture, ticket)
        asked = prompts.arguments(model.spec, embedding.frame)
        masks = model.segment(embedding, **asked, multimask=granularity != "best")
        row = 0
        if granularity != "best":
            by_size = masks.areas.argsort(kind="stable")
            row = int(by_size[min(GRANULARITIES.index(granularity) - 1, len(by_size) - 1)])
        found = Found(masks.crops()[row], float(masks.scores[row]), model.name, prompts)
        self._last = ((picture.key, prompts, granularity, model), found)
        return found

    def several(self, picture: Picture, prompts: Sequence[Prompts], ticket: Ticket) -> list[Found]:
        """The objects of many prompts, all boxes or all single clicks, in their order.

        Raises:
            Cancelled: It was stopped.
        """
        embedding, model = self._encoded(picture, ticket)
        found: list[Found] = []
        for start in range(0, len(prompts), _AT_ONCE):
            if not ticket.progress(start, len(prompts)):
                raise Cancelled(f"stopped after {start} of {len(prompts)} objects", partial=found)
            some = prompts[start : start + _AT_ONCE]
            boxes = [one.box for one in some if one.box is not None]
            if boxes:
                masks = model.segment(embedding, boxes=boxes)
            else:
                masks = model.segment(embedding, points=[list(one.points) for one in some])
            rows = zip(masks.crops(), masks.scores, some, strict=True)
            found += [Found(crop, float(score), model.name, one) for crop, score, one in rows]
        return found

    def everything(self, picture: Picture, ticket: Ticket) -> list[Found]:
        """All objects of a plane, the smallest first: where masks overlap, none hides what lies in it.

        A mask that reaches all four sides of the plane, or nearly so, is the ground on which objects lie, and left out.

        Raises:
            Cancelled: It was stopped.
        """
        embedding, model = self._encoded(picture, ticket)
        masks = model.everything(embedding, progress=ticket.progress)
        by_size = masks[masks.areas.argsort(kind="stable")]
        rows = zip(by_size.crops(), by_size.scores, strict=True)
        return [
            Found(crop, float(score), model.name, Prompts())
            for crop, score in rows
            if not spans(crop, picture.plane.shape)
        ]

    def _key(self, picture: Picture) -> Any:
        model = self.model
        return (picture.key, model and model.name, model and str(model.device))

    def _given_up(self, ticket: Ticket, picture: Picture, model: Segmenter) -> bool:
        """Whether an encoding that runs is of no use: to its job, nor to the next one in this view."""
        return ticket.cancelled and (picture.key != self.wanted or model is not self.model)

    def _encoded(self, picture: Picture, ticket: Ticket) -> tuple[Embedding, Segmenter]:
        """A plane and the model that encoded it, which may be replaced by another at any moment."""
        while True:
            embedding = self.embedding(picture, ticket)
            model = self._models.ready()
            if embedding.model == model.name:
                return embedding.to(model.device), model
