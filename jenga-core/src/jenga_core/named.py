"""Modules under names that users chose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import nn


class Named(nn.Module):
    """Modules under names that users chose. `nn.ModuleDict` refuses names such as "type", "keys" and "train"."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module("_" + name, module)

    def __getitem__(self, name: str) -> nn.Module:
        module = self._modules["_" + name]
        assert module is not None
        return module

    def __contains__(self, name: str) -> bool:
        return "_" + name in self._modules

    def __iter__(self) -> Iterator[str]:
        return (name[1:] for name in self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def items(self) -> list[tuple[str, nn.Module]]:
        return [(name, self[name]) for name in self]
