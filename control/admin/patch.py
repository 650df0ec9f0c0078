"""PATCH: a body merged into an object, or put at a path inside it. Pure."""

from copy import deepcopy
from typing import Any

from control.model.errors import ModelError


def merge(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """`target` with `patch` merged in: objects by member, null removes, everything else (arrays too) replaces."""
    merged = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = merge(merged[name], value)
        else:
            merged[name] = value
    return merged


def replace_at(target: dict[str, Any], path: str, value: Any) -> Any:
    """`target` with `value` at `path` ("a/b/0"); objects on the way are made, array items counted from 0.

    null removes the member. Raises ModelError when the path leads through something that has no members.
    """
    steps = [step for step in path.split("/") if step]
    if not steps:
        return value
    root = deepcopy(target)
    container: Any = root
    for step in steps[:-1]:
        container = _enter(container, step, path)
    _put(container, steps[-1], value, path)
    return root


def _enter(container: Any, step: str, path: str) -> Any:
    if isinstance(container, list):
        return container[_index(container, step, path, len(container) - 1)]
    if not isinstance(container, dict):
        raise _bad_path(path)
    return container.setdefault(step, {})


def _put(container: Any, step: str, value: Any, path: str) -> None:
    if isinstance(container, list):
        index = _index(container, step, path, len(container))
        container[index : index + 1] = [] if value is None else [value]
    elif isinstance(container, dict):
        if value is None:
            container.pop(step, None)
        else:
            container[step] = value
    else:
        raise _bad_path(path)


def _index(container: list[Any], step: str, path: str, most: int) -> int:
    if not step.isascii() or not step.isdigit() or len(step) > 9 or int(step) > most:
        raise _bad_path(path)
    return int(step)


def _bad_path(path: str) -> ModelError:
    return ModelError(f"invalid sub-path: /{path.strip('/')}")
