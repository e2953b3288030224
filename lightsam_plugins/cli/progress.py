"""The progress bar of the commands that work for a while."""

from __future__ import annotations

from collections.abc import Callable

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lightsam_plugins.cli.output import err


class Bar(Progress):
    """One bar over several pieces of work, on stderr; it goes when it is done.

    Args:
        total: How many pieces there are.
    """

    def __init__(self, total: int) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
        )
        super().__init__(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=err, transient=True)
        self.total = total
        self.task: TaskID = self.add_task("", total=total, count=f"0/{total}")

    def begin(self, number: int, name: str) -> Callable[[int, int], None]:
        """Show that piece `number`, from 0, is being worked on.

        Returns:
            What moves the bar within the piece, as the `progress` of `Segmenter.everything`.
        """
        count = f"{number}/{self.total}"
        self.update(self.task, description=name, completed=number, count=count)

        def advance(done: int, total: int) -> None:
            self.update(self.task, completed=number + done / total)

        return advance
