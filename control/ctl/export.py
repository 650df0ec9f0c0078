"""Everything that a server has, as a file that `apply`, `import` and stand-alone mode take."""

from typing import Any

from control.ctl.canonical import portable
from control.ctl.client import Api, Refused
from control.ctl.kinds import KINDS
from control.ctl.manifest import Name
from control.ctl.to_yaml import to_yaml

Doc = dict[str, Any]

_HIDDEN = "# Private keys of ssls are not shown by the server: fill in `key` before writing these to another one.\n"


def read_all(api: Api) -> dict[Name, Doc]:
    """All objects, by collection and id, kinds in the order of writing. Kinds that the server does not have are
    passed over. Raises Trouble."""
    found: dict[Name, Doc] = {}
    for kind in KINDS:
        try:
            listed = api.list(kind)
        except Refused:
            continue
        found |= {(kind.collection, id): doc for id, doc in listed.items()}
    return found


def export_text(objects: dict[Name, Doc]) -> str:
    """The file: the same objects give the same text. It ends in `#END`, as apisix.yaml has to."""
    document: dict[str, list[Doc]] = {}
    for kind in KINDS:
        for (collection, id), doc in objects.items():
            if collection == kind.collection:
                name = {} if collection == "consumers" else {"id": id}
                document.setdefault(kind.file_kind or collection, []).append(name | portable(kind, doc))
    head = _HIDDEN if "ssls" in document else ""
    return f"{head}{to_yaml(document) if document else 'routes: []' + chr(10)}#END\n"
