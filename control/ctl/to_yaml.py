"""YAML as `unilb ctl` writes it: what is read back is what was there, and people can read it."""

from typing import Any

import yaml

from control.store.yaml_json import plain


def to_yaml(value: Any, sort_keys: bool = False) -> str:
    """YAML text of a JSON value."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=sort_keys, allow_unicode=True, width=120)
    return text


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    if not isinstance(plain(text), str):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
