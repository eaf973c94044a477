"""A RunConfig as YAML that says everything: what is saved with a run."""

from __future__ import annotations

from typing import Any

import yaml

from ..config import RunConfig
from .yaml_lines import resolvers


def _text(dumper: yaml.representer.BaseRepresenter, value: Any) -> yaml.Node:
    """Double quotes, which escape, for text with line ends of any kind: PyYAML's other styles lose some of them."""
    style = '"' if value and value.splitlines() != [value] else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


class _Dumper(yaml.SafeDumper):
    """Quotes whatever this reader or a reader of YAML 1.1 would not take for text: `on`, `2e-4`, `12:30`."""

    yaml_implicit_resolvers = {
        first: [*yaml.SafeDumper.yaml_implicit_resolvers.get(first, []), *resolvers().get(first, [])]
        for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *resolvers()}
    }

    yaml_representers = {**yaml.SafeDumper.yaml_representers, str: _text}

    def ignore_aliases(self, data: Any) -> bool:
        """Repeat equal values: an anchor would be one more thing to understand."""
        return True


def dump_config(config: RunConfig) -> str:
    """YAML with every default spelt out; `read_config` of it gives an equal RunConfig."""
    return dump(config.model_dump(mode="json"), width=120)


def dump(value: Any, **style: Any) -> str:
    """A plain value as YAML that `parse` reads back as equal. `style`: PyYAML's options."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **style)
    return text
