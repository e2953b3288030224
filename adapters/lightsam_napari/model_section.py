"""Model and device, and the question before a download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFormLayout, QGroupBox, QLabel, QVBoxLayout, QWidget

from lightsam_napari.controls import Choice, button, row

if TYPE_CHECKING:
    from lightsam_napari.controller import Controller
    from lightsam_plugins.model_spec import ModelSpec

_DEVICES = ("auto", "cpu", "cuda", "mps")


class ModelSection(QGroupBox):
    """Which model works, where; another one is loaded beside it."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("Model")
        self._controller = controller
        self._asked: ModelSpec | None = None
        self.model = Choice(
            "nano ships with the package; the others are downloaded, after a question.", self._choose
        )
        self.device = Choice("auto takes CUDA, then Apple's MPS, then the CPU.", self._move)
        self.question = QLabel()
        self.question.setWordWrap(True)
        self.accept = button(
            "Download", "Fetch the weights; work goes on with the present model.", self._accept
        )
        self.refuse = button("Not now", "Stay with the present model.", self._refuse)
        self.ask = QWidget()
        ask = QVBoxLayout(self.ask)
        ask.setContentsMargins(0, 0, 0, 0)
        ask.addWidget(self.question)
        ask.addWidget(row(self.accept, self.refuse))
        self.ask.hide()
        form = QFormLayout(self)
        form.addRow("model", self.model)
        form.addRow("device", self.device)
        form.addRow(self.ask)

    def refresh(self) -> None:
        """Show what is."""
        models = self._controller.models
        shown = self._asked.name if self._asked else models.name
        self.model.offer([(name, name) for name in models.names()], shown)
        self.device.offer([(device, device) for device in _DEVICES], models.device)

    def _choose(self, name: str) -> None:
        spec = self._controller.models.missing(name)
        if spec is None:
            self._refuse()
            self._controller.change_model(name, self._controller.models.device)
            return
        self._asked = spec
        sizes = [file.size for file in spec.files]
        size = f"{sum(sizes) / 1e6:.0f} MB, " if all(sizes) else ""
        terms = (
            f" Their licence, {spec.licence_weights}, has terms: {spec.licence_terms}"
            if spec.licence_terms
            else ""
        )
        self.question.setText(
            f"The weights of {name} ({size}{spec.licence_weights}) are not on this machine.{terms} Download?"
        )
        self.accept.setText("Accept the licence and download" if spec.licence_terms else "Download")
        self.ask.show()

    def _accept(self) -> None:
        spec, self._asked = self._asked, None
        self.ask.hide()
        if spec is not None:
            licence = spec.licence_weights if spec.licence_terms else None
            self._controller.change_model(spec.name, self._controller.models.device, accept_licence=licence)
        self.refresh()

    def _refuse(self) -> None:
        self._asked = None
        self.ask.hide()
        self.refresh()

    def _move(self, device: str) -> None:
        self._controller.change_model(self._controller.models.name, device)
