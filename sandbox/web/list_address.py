"""Addresses of lists that are sorted and filtered: one URL is one view of the list."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

ORDERS = ("asc", "desc")
ROWS = 100
"""How many rows are on a page of a list."""


@dataclass(frozen=True, slots=True)
class ListColumn:
    """A column of a list.

    Attributes:
        label: its heading.
        sort: its name in addresses; "" for a column that can't be sorted.
        css: the heading's classes.
        first: the order of the first press, "asc" or "desc".
    """

    label: str
    sort: str
    css: str = ""
    first: str = "desc"


@dataclass(frozen=True, slots=True)
class ListAddress:
    """What an address of a list asks for.

    Attributes:
        path: the list's path.
        columns: its columns; the first one is the default order.
        sort: a column's `sort`.
        order: "asc" or "desc".
        filters: the fields that are set, by name.
        page: the number of the page, 1 and up; there may be fewer pages.
    """

    path: str
    columns: Sequence[ListColumn]
    sort: str
    order: str
    filters: Mapping[str, str]
    page: int

    @classmethod
    def of(
        cls, path: str, columns: Sequence[ListColumn], fields: Collection[str], arguments: Mapping[str, str]
    ) -> "ListAddress":
        """Read a query string; unknown values mean the default.

        Args:
            fields: the names of the filters.
        """
        known = {column.sort: column for column in columns if column.sort}
        column = known.get(arguments.get("sort", ""), columns[0])
        order, number = arguments.get("order", ""), arguments.get("page", "")
        return cls(
            path,
            columns,
            column.sort,
            order if order in ORDERS else column.first,
            {name: value for name in fields if (value := arguments.get(name, "").strip())},
            max(1, int(number[:6])) if number.isascii() and number.isdigit() else 1,
        )

    def address(self, **changes: object) -> str:
        """Return the address of the first page of the same list with some fields changed; None leaves a field out."""
        usual = next(one.first for one in self.columns if one.sort == self.sort)
        fields: dict[str, object] = dict(self.filters)
        if self.sort != self.columns[0].sort:
            fields["sort"] = self.sort
        if self.order != usual:
            fields["order"] = self.order
        kept = {name: value for name, value in (fields | changes).items() if value is not None}
        return self.path + (f"?{urlencode(kept)}" if kept else "")

    def sorted_by(self, column: ListColumn) -> str:
        """Return the address that a press on a column's heading leads to."""
        order = column.first if column.sort != self.sort else ORDERS[self.order == "asc"]
        return self.address(
            sort=None if column is self.columns[0] else column.sort, order=None if order == column.first else order
        )

    def first_row(self, count: int) -> int:
        """Return the index of the first row of the page, in a list of `count` rows."""
        return min(self.page - 1, max(0, (count - 1) // ROWS)) * ROWS
