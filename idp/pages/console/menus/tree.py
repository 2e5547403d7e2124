"""The tree of a menu while it is changed: the form holds all places, and nothing is saved yet."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from idp.directory.applications.editing import DEEPEST, MOST_ENTRIES, Place
from idp.directory.applications.models import Menu
from idp.platform.errors import BadRequest
from idp.platform.translation import N_

_LONGEST = MOST_ENTRIES * 50


@dataclass(slots=True)
class Branch:
    """An entry with what is below it."""

    menu: Menu
    is_enabled: bool
    parent: Branch | None
    siblings: list[Branch]
    """Those beside it, with itself."""
    children: list[Branch] = field(default_factory=list)

    @property
    def parent_id(self) -> int | None:
        """The id of the entry above it."""
        return None if self.parent is None else self.parent.menu.id

    @property
    def index(self) -> int:
        """Its place among those beside it."""
        return next(at for at, branch in enumerate(self.siblings) if branch is self)

    @property
    def level(self) -> int:
        """How deep it stands; 1: at the top."""
        return 1 if self.parent is None else self.parent.level + 1

    @property
    def height(self) -> int:
        """How many levels it and those below it have."""
        return 1 + max((child.height for child in self.children), default=0)

    @property
    def size(self) -> int:
        """How many entries are below it."""
        return sum(1 + child.size for child in self.children)


@dataclass(frozen=True, slots=True)
class Move:
    """A direction in which an entry can go."""

    name: str
    is_possible: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the editor."""

    branch: Branch
    level: int
    is_hidden: bool
    """Whether it or one above it is disabled."""
    moves: Sequence[Move]


@dataclass(frozen=True, slots=True)
class Change:
    """What saving would change about an entry."""

    menu: Menu
    is_moved: bool
    before: str | None
    """Title of the entry above it, as it is stored; None: it is at the top."""
    after: str | None
    is_enabled: bool | None
    """None: it stays enabled, or disabled."""
    below: int
    """Entries below it, which appear and vanish with it."""


def of(entries: Sequence[Menu], places: Sequence[Place]) -> list[Branch]:
    """Build the tree that places describe; they were checked against the entries."""
    rows = {entry.id: entry for entry in entries}
    top: list[Branch] = []
    known: dict[int, Branch] = {}
    for place in places:
        parent = None if place.parent_id is None else known[place.parent_id]
        siblings = top if parent is None else parent.children
        branch = Branch(rows[place.id], place.is_enabled, parent, siblings)
        siblings.append(branch)
        known[place.id] = branch
    return top


def walk(top: Sequence[Branch]) -> Iterator[Branch]:
    """Yield the branches one by one, each before those below it."""
    for branch in top:
        yield branch
        yield from walk(branch.children)


def stored(entries: Sequence[Menu]) -> list[Place]:
    """Return the places that entries have."""
    return [Place(entry.id, entry.parent_id, bool(entry.status)) for entry in entries]


def places_of(top: Sequence[Branch]) -> list[Place]:
    """Return the places of a tree."""
    return [Place(branch.menu.id, branch.parent_id, branch.is_enabled) for branch in walk(top)]


def written(places: Sequence[Place]) -> str:
    """Write places as the form holds them: id, parent, and 1 for what is enabled."""
    return ",".join(f"{one.id}:{one.parent_id or 0}:{int(one.is_enabled)}" for one in places)


def read(text: str) -> list[Place]:
    """Read the places of a form; what is none of ours is refused."""
    if len(text) > _LONGEST:
        raise BadRequest.at("places", N_("The form holds too much."))
    places = []
    for part in filter(None, text.split(",")):
        numbers = part.split(":")
        if len(numbers) != 3 or not all(map(_is_number, numbers)):  # noqa: PLR2004 - as `written`
            raise BadRequest.at("places", N_("Unknown value in the form."))
        menu_id, parent_id, enabled = map(int, numbers)
        places.append(Place(menu_id, parent_id or None, bool(enabled)))
    return places


def lines(top: Sequence[Branch]) -> list[Line]:
    """Return the rows of the editor."""
    hidden: set[int | None] = set()
    found = []
    for branch in walk(top):
        is_hidden = not branch.is_enabled or branch.parent_id in hidden
        if is_hidden:
            hidden.add(branch.menu.id)
        moves = [Move(name, is_possible(branch)) for name, (is_possible, _go) in MOVES.items()]
        found.append(Line(branch, branch.level, is_hidden, moves))
    return found


def act(top: list[Branch], what: str, menu_id: int) -> bool:
    """Move an entry, or turn it on or off; return whether that was possible."""
    branch = next((one for one in walk(top) if one.menu.id == menu_id), None)
    if branch is None:
        return False
    if what == "toggle":
        branch.is_enabled = not branch.is_enabled
        return True
    if what not in MOVES or not MOVES[what][0](branch):
        return False
    MOVES[what][1](branch)
    return True


def difference(entries: Sequence[Menu], top: Sequence[Branch]) -> list[Change]:
    """Return what differs from what is stored, in the order of the tree."""
    titles = {entry.id: entry.title for entry in entries}
    before: dict[int | None, list[int]] = {}
    for entry in entries:
        before.setdefault(entry.parent_id, []).append(entry.id)
    shifted: set[int] = set()
    for branch in walk(top):
        if branch.siblings[0] is branch:
            new = [one.menu.id for one in branch.siblings]
            shifted |= _moved(before.get(branch.parent_id, []), new)
    found = []
    for branch in walk(top):
        stays = branch.menu.parent_id == branch.parent_id
        turned = bool(branch.menu.status) is not branch.is_enabled
        if not stays or branch.menu.id in shifted or turned:
            found.append(
                Change(
                    branch.menu,
                    not stays or branch.menu.id in shifted,
                    titles.get(branch.menu.parent_id or 0),
                    titles.get(branch.parent_id or 0),
                    branch.is_enabled if turned else None,
                    branch.size,
                )
            )
    return found


def _moved(old: Sequence[int], new: Sequence[int]) -> set[int]:
    """Return which entries that both lists have stand elsewhere, as few of them as possible.

    The longest run that is in the old order has not moved.
    """
    place = {menu_id: index for index, menu_id in enumerate(old)}
    common = [menu_id for menu_id in new if menu_id in place]
    ends: list[int] = []
    runs: list[list[int]] = []
    for menu_id in common:
        at = bisect_left(ends, place[menu_id])
        run = [*(runs[at - 1] if at else ()), menu_id]
        ends[at : at + 1], runs[at : at + 1] = [place[menu_id]], [run]
    return set(common).difference(runs[-1] if runs else ())


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20  # noqa: PLR2004 - digits


def _go_up(branch: Branch) -> None:
    at = branch.index
    branch.siblings.insert(at - 1, branch.siblings.pop(at))


def _go_down(branch: Branch) -> None:
    at = branch.index
    branch.siblings.insert(at + 1, branch.siblings.pop(at))


def _go_in(branch: Branch) -> None:
    at = branch.index
    parent = branch.siblings[at - 1]
    branch.siblings.pop(at)
    parent.children.append(branch)
    branch.parent, branch.siblings = parent, parent.children


def _go_out(branch: Branch) -> None:
    parent = branch.parent
    if parent is not None:
        branch.siblings.pop(branch.index)
        parent.siblings.insert(parent.index + 1, branch)
        branch.parent, branch.siblings = parent.parent, parent.siblings


MOVES: Mapping[str, tuple[Callable[[Branch], bool], Callable[[Branch], None]]] = {
    "up": (lambda branch: branch.siblings[0] is not branch, _go_up),
    "down": (lambda branch: branch.siblings[-1] is not branch, _go_down),
    "in": (
        lambda branch: branch.siblings[0] is not branch and branch.level + branch.height <= DEEPEST,
        _go_in,
    ),
    "out": (lambda branch: branch.parent is not None, _go_out),
}
"""When each move is possible, and what it does."""
