"""The list of all transfers as a screen of a terminal, and as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mod_progress.terminal import words
from mod_progress.terminal.dump import Listed, Transfer
from mod_progress.terminal.printable import one_line
from mod_progress.terminal.view import KEYS, View
from mod_progress.transfer import State

#: Lines of the screen that are no transfer: the totals, the titles, what is not shown, the keys.
_OTHER_LINES = 4

#: Characters of a line in which there is room for the ids, which tell least.
_WIDE = 100

_COLORS: Mapping[object, str] = {"error": "red", "done": "green"}

#: The titles, and how the columns are justified. The path has the room that the others leave.
_COLUMNS: Mapping[str, str] = {
    "id": "left",
    "client": "left",
    "path": "left",
    "": "right",
    "size": "right",
    "rate": "right",
    "age": "right",
    "state": "left",
}


class ListScreen:
    """Draws a page of the list again and again, on a screen of its own."""

    def __init__(self, console: Console, view: View) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, screen=True)
        self._view = view
        self._listed: Listed | None = None
        self._trouble = ""

    @property
    def room(self) -> int:
        """How many transfers fit on the screen."""
        return max(1, self._console.height - _OTHER_LINES)

    def show(self, listed: Listed) -> None:
        """Draw this page from now on."""
        self._listed, self._trouble = listed, ""

    def fail(self, trouble: str) -> None:
        """Say why the page is old."""
        self._trouble = trouble

    def refresh(self) -> None:
        """Draw, as soon as there is a page."""
        if self._listed is not None:
            self._live.start()
            wide = self._console.width >= _WIDE
            drawn = draw(self._listed, self._view, self.room, wide, self._trouble)
            self._live.update(drawn, refresh=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._live.stop()


def draw(
    listed: Listed, view: View, room: int, wide: bool = True, trouble: str = ""
) -> RenderableType:
    """Return the screen: the totals first, then up to ``room`` transfers.

    Without ``wide`` it has no ids.
    """
    shown = listed.transfers[:room]
    more = listed.total - len(shown)
    typed = view.typed
    bottom = KEYS if typed is None else f"path begins with: {one_line(typed)}_"
    return Group(
        _line(f"{totals(listed)}  ({view})", "bold"),
        _table(shown, listed.now, wide),
        _line(f"{more:,} more" if more > 0 else ""),
        _line(trouble, "red") if trouble else _line(bottom, "dim"),
    )


def totals(listed: Listed) -> str:
    """Return how many transfers there are of each state."""
    names = {"running": "running", "done": "done", "error": "failed"}
    return ", ".join(f"{listed.states.get(key, 0):,} {name}" for key, name in names.items())


def _line(text: str, style: str = "") -> Text:
    return Text(one_line(text), style, no_wrap=True, overflow="ellipsis")


def _table(transfers: Sequence[Transfer], now: float, wide: bool) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style="reverse")
    first = 0 if wide else 1
    for title, justify in list(_COLUMNS.items())[first:]:
        table.add_column(
            title,
            justify=justify,  # type: ignore[arg-type]
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if title == "path" else None,
        )
    for each in transfers:
        table.add_row(
            *map(_line, cells_of(each, now)[first:]), style=_COLORS.get(each.get("state"), "")
        )
    return table


def cells_of(transfer: Transfer, now: float) -> tuple[str, ...]:
    """Return the texts of a transfer. What the server does not tell, or not rightly, is empty."""
    upload = transfer.get("direction") != "download"
    amount = _number(transfer, "received" if upload else "sent") or 0
    total = _number(transfer, "request_size" if upload else "response_size")
    rate = _number(transfer, "rate")
    share = f"{min(100, 100 * amount // total)}%" if total else ""
    return (
        _text(transfer, "id"),
        _text(transfer, "peer"),
        _text(transfer, "path"),
        f"{'up' if upload else 'down'} {share}".rstrip(),
        words.size(amount if total is None else max(amount, total)),
        "" if rate is None else words.rate(rate),
        _age(transfer, now),
        _state(transfer),
    )


def _text(transfer: Transfer, name: str) -> str:
    value = transfer.get(name)
    return value if isinstance(value, str) else ""


def _number(transfer: Transfer, name: str) -> int | None:
    value = transfer.get(name)
    return value if isinstance(value, int) and value >= 0 else None


def _age(transfer: Transfer, now: float) -> str:
    try:
        started = datetime.fromisoformat(_text(transfer, "started")).timestamp()
    except (ValueError, OverflowError):
        return ""
    return words.stopwatch(now - started)


def _state(transfer: Transfer) -> str:
    state, status = _text(transfer, "state"), _number(transfer, "status")
    return f"{state} {status}" if state == State.ERROR and status else state
