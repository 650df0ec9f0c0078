"""PrefixTree: which of many prefixes a text begins with, in steps bounded by the text, not by how many there are."""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class _Node(Generic[T]):
    __slots__ = ("children", "label", "value")

    def __init__(self, label: str, value: T | None) -> None:
        self.label = label  # what the path from the parent to here adds; empty only at the root
        self.children: dict[str, _Node[T]] = {}  # by the first character of their label
        self.value = value


class PrefixTree(Generic[T]):
    """A radix tree from prefixes to values (never None). Every node but the root holds a value or splits."""

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root: _Node[T] = _Node("", None)

    def __bool__(self) -> bool:
        return bool(self._root.children) or self._root.value is not None

    def __iter__(self) -> Iterator[tuple[str, T]]:
        """Every (prefix, value), in no order worth relying on."""
        stack = [("", self._root)]
        while stack:
            prefix, node = stack.pop()
            if node.value is not None:
                yield prefix, node.value
            stack.extend((prefix + child.label, child) for child in node.children.values())

    def matching(self, text: str) -> list[T]:
        """Return the values of all prefixes of `text`, shortest prefix first."""
        node = self._root
        found = [] if node.value is None else [node.value]
        position, size = 0, len(text)
        while position < size:
            child = node.children.get(text[position])
            if child is None or not text.startswith(child.label, position):
                break
            node = child
            position += len(node.label)
            if node.value is not None:
                found.append(node.value)
        return found

    def get(self, prefix: str) -> T | None:
        """Return the value of exactly this prefix, or None."""
        path = self._path(prefix)
        return path[-1].value if path else None

    def set(self, prefix: str, value: T) -> None:
        """Add `prefix`, or replace its value."""
        node, rest = self._root, prefix
        while rest:
            child = node.children.get(rest[0])
            if child is None:
                node.children[rest[0]] = _Node(rest, value)
                return
            shared = _shared_length(child.label, rest)
            if shared < len(child.label):
                fork: _Node[T] = _Node(child.label[:shared], None)
                child.label = child.label[shared:]
                fork.children[child.label[0]] = child
                node.children[rest[0]] = fork
                child = fork
            node, rest = child, rest[shared:]
        node.value = value

    def remove(self, prefix: str) -> None:
        """Remove `prefix`. Raises KeyError when it is not there."""
        path = self._path(prefix)
        if not path or path[-1].value is None:
            raise KeyError(prefix)
        path[-1].value = None
        while len(path) > 1:
            node, parent = path.pop(), path[-1]
            if node.value is not None or len(node.children) > 1:
                return
            if node.children:
                (child,) = node.children.values()
                child.label = node.label + child.label
                parent.children[child.label[0]] = child
                return
            del parent.children[node.label[0]]

    def _path(self, prefix: str) -> list[_Node[T]]:
        """Return the nodes from the root to the one that stands for exactly `prefix`, or [] when none does."""
        path, position = [self._root], 0
        while position < len(prefix):
            child = path[-1].children.get(prefix[position])
            if child is None or not prefix.startswith(child.label, position):
                return []
            path.append(child)
            position += len(child.label)
        return path


def _shared_length(a: str, b: str) -> int:
    length = min(len(a), len(b))
    for index in range(length):
        if a[index] != b[index]:
            return index
    return length
