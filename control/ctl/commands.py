"""The commands of `unilb ctl`. Each returns its exit status: 0 done, 1 a difference or a refusal."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from control.ctl.apply import carry_out, read_live
from control.ctl.backup import back_up, restore
from control.ctl.client import Api, Refused, Server, Trouble
from control.ctl.export import export_text, read_all
from control.ctl.kinds import kind_named
from control.ctl.manifest import Manifest, Wanted, label, read_manifest
from control.ctl.plan import Action, Step, deletions, differences, plan
from control.ctl.table import object_table, status_table
from control.ctl.to_yaml import to_yaml
from control.store.yaml_json import FileError

DEFAULT_SERVER = "http://127.0.0.1:9180"

Doc = dict[str, Any]


def get(args: argparse.Namespace, out: TextIO) -> int:
    kind = kind_named(args.kind)
    with _api(args) as api:
        if args.id is None:
            objects = api.list(kind)
        else:
            found = api.get(kind, args.id)
            if found is None:
                raise Refused(f"{kind.collection}/{args.id}: not found")
            objects = {args.id: found}
    if args.output == "table":
        out.write(object_table(kind, objects))
    else:
        _write(list(objects.values()) if args.id is None else objects[args.id], args.output, out)
    return 0


def apply(args: argparse.Namespace, out: TextIO) -> int:
    manifest = _manifest(args)
    with _api(args) as api:
        steps = plan(manifest, read_live(api, manifest, args.prune), args.prune, args.force)
        return _do(api, steps, args.file, out)


def diff(args: argparse.Namespace, out: TextIO) -> int:
    manifest = _manifest(args)
    with _api(args) as api:
        live = read_live(api, manifest, args.prune)
    texts = list(differences(plan(manifest, live, args.prune), live))
    out.writelines(texts)
    return 1 if texts else 0


def delete(args: argparse.Namespace, out: TextIO) -> int:
    if (args.file is None) != (args.id is not None and args.kind is not None) or (args.file and args.kind):
        raise ValueError("delete: expected KIND ID, or -f FILE")
    with _api(args) as api:
        if args.file is None:
            kind = kind_named(args.kind)
            if not api.delete(kind, args.id, args.force_delete):
                raise Refused(f"{kind.collection}/{args.id}: not found")
            out.write(f"{kind.collection}/{args.id} {Action.DELETE.value}\n")
            return 0
        manifest = _manifest(args)
        live = read_live(api, manifest, False)
        steps = deletions([wanted for wanted in manifest.objects if wanted.name in live])
        return _do(api, steps, args.file, out)


def export(args: argparse.Namespace, out: TextIO) -> int:
    with _api(args) as api:
        out.write(export_text(read_all(api)))
    return 0


def status(args: argparse.Namespace, out: TextIO) -> int:
    with _api(args) as api:
        code, doc = api.ask("GET", "/unilb/status")
    if code == 401 or (code != 200 and "store" not in doc):
        raise Trouble(f"{doc.get('error_msg', code)} {doc.get('description', '')}".strip())
    if args.output == "table":
        out.write(status_table(doc))
    else:
        _write(doc, args.output, out)
    return 0 if code == 200 else 1


def backup(args: argparse.Namespace, out: TextIO) -> int:
    count = asyncio.run(_with_store(args.store, lambda store: back_up(store, Path(args.archive))))
    out.write(f"{count} keys written to {args.archive}\n")
    return 0


def restore_store(args: argparse.Namespace, out: TextIO) -> int:
    raw = Path(args.archive).read_bytes()
    if not args.yes:
        if not sys.stdin.isatty():
            raise ValueError("restore: nobody to ask: give --yes")
        out.write(f"Restore {args.archive} into the store? What it holds is replaced. [y/N] ")
        out.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            return 1
    count = asyncio.run(_with_store(args.store, lambda store: restore(store, raw, args.force)))
    out.write(f"{count} keys restored\n")
    return 0


async def _with_store(url: str, work: Callable[[Any], Any]) -> int:
    # Here, because the etcd client takes longer to import than most commands take.
    from control.store.open import open_store

    store = open_store(url)
    try:
        return int(await work(store))
    finally:
        await store.close()


def _do(api: Api, steps: list[Step], file: str, out: TextIO) -> int:
    def say(step: Step) -> None:
        print(f"{label(step.name)} {step.action.value}", file=out, flush=True)

    failures = carry_out(api, steps, say)
    for failure in failures:
        wanted = failure.step.wanted
        sys.stderr.write(f"{_place(file, wanted)}{label(wanted.name)}: {failure.why}\n")
    return 1 if failures else 0


def _place(file: str, wanted: Wanted) -> str:
    return f"{file}:{wanted.line}: " if wanted.line else ""


def _manifest(args: argparse.Namespace) -> Manifest:
    """Raises ValueError that names file and line, OSError."""
    raw = sys.stdin.buffer.read() if args.file == "-" else Path(args.file).read_bytes()
    try:
        return read_manifest(raw, dict(os.environ) if getattr(args, "env", False) else None)
    except FileError as error:
        raise ValueError(f"{args.file}: {error}") from None


@contextmanager
def _api(args: argparse.Namespace) -> Iterator[Api]:
    server = Server(
        url=args.server or os.environ.get("UNILB_SERVER") or DEFAULT_SERVER,
        key=args.key or os.environ.get("UNILB_ADMIN_KEY") or "",
        cacert=args.cacert,
        insecure=args.insecure,
    )
    api = Api(server)
    try:
        yield api
    finally:
        api.close()


def _write(value: Any, output: str, out: TextIO) -> None:
    out.write(to_yaml(value) if output == "yaml" else json.dumps(value, indent=2, ensure_ascii=False) + "\n")
