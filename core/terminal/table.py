"""Tables of one line a row, fitted into a terminal by leaving out and shortening; for a pipe nothing is either."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.text import Text

_GAP = "  "
_PADDED = 60  # cells of a text that others are lined up with where nothing is shortened
_TIGHT = 8  # cells of a shortened text where nothing is left that could be left out


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``least``: the cells that its texts keep as long as another column can be left out instead (None:
    never shortened); ``is_spare``: it is left out where the terminal is too narrow, the last such column first."""

    name: str
    is_number: bool = False
    least: int | None = None
    is_spare: bool = False


@dataclass(slots=True)
class Table:
    """Rows of texts, which have no line breaks."""

    columns: Sequence[Column]
    rows: list[Sequence[Text]] = field(default_factory=list)

    def add_row(self, *cells: Text) -> None:
        """One more row, with a cell for each column."""
        self.rows.append(cells)

    def lines(self, width: int | None) -> Iterator[Text]:
        """The head and the rows; ``width``: the cells of the terminal, None where there is none."""
        rows = [[Text(column.name, "dim") for column in self.columns], *self.rows]
        widths = [max(cell_len(row[k].plain) for row in rows) for k in range(len(self.columns))]
        if width is None:
            fitted = {
                k: min(widths[k], _PADDED) if column.least is not None else widths[k]
                for k, column in enumerate(self.columns)
            }
        else:
            fitted = self._fitted(widths, width)
        for row in rows:
            cells = [
                _padded(row[k] if width is None else shortened(row[k], n), n, is_right=self.columns[k].is_number)
                for k, n in fitted.items()
            ]
            line = Text(_GAP).join(cells)
            line.rstrip()
            yield line

    def _fitted(self, widths: Sequence[int], width: int) -> dict[int, int]:
        """The columns that are shown, by their place, each with its cells."""
        least = [n if c.least is None else min(n, c.least) for n, c in zip(widths, self.columns, strict=True)]
        shown = list(range(len(self.columns)))
        spare = [k for k in shown if self.columns[k].is_spare]
        while spare and sum(least[k] + len(_GAP) for k in shown) - len(_GAP) > width:
            shown.remove(spare.pop())
        fitted = {k: widths[k] for k in shown}
        excess = sum(fitted.values()) + len(_GAP) * (len(shown) - 1) - width
        tight = [n if c.least is None else min(n, _TIGHT) for n, c in zip(widths, self.columns, strict=True)]
        for kept in (least, tight):
            while excess > 0 and (can := [k for k in shown if fitted[k] > kept[k]]):
                fitted[max(can, key=fitted.__getitem__)] -= 1
                excess -= 1
        return fitted


def shortened(text: Text, cells: int) -> Text:
    """A text in so many cells, cut between two words where that leaves enough of it."""
    if cell_len(text.plain) <= cells:
        return text
    kept = set_cell_size(text.plain, cells - 1).rstrip()
    at = kept.rfind(" ")
    is_broken = text.plain[len(kept) : len(kept) + 1] != " "
    if is_broken and at > len(kept) // 2:
        kept = kept[:at].rstrip()
    return Text(f"{kept}…", text.style)


def _padded(text: Text, cells: int, *, is_right: bool) -> Text:
    padded = text.copy()
    blank = max(cells - cell_len(text.plain), 0)
    if is_right:
        padded.pad_left(blank)
    else:
        padded.pad_right(blank)
    return padded
