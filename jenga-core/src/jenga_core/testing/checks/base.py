"""What every check needs: the registry, and sample data that an author of a plugin may replace."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest

from jenga_core.api import GROUP, BackboneSpec, ProcessorSpec, SourceSpec, TaskSpec
from jenga_core.errors import DataError
from jenga_core.registry import Registry

from .. import doubles, rig, samples


class Samples:
    """The plugin under test and the data to test it with."""

    plugin: ClassVar[str] = ""
    module: ClassVar[str] = ""  # of a plugin that is not installed: the module with its registration hooks

    # ---------------------------------------------------------------- what an author may override

    def cells(self, kind: str, folder: Path) -> pd.DataFrame:
        """Rows for a processor; at least 12, the first 8 complete and distinct. Files that cells name go into `folder`.

        The default is the first of some made-up tables that the processor does not refuse with a `DataError`.
        """
        refused = []
        for frame in samples.candidates():
            try:
                rig.fit(self.registry(), kind, frame.copy(deep=True))  # what it does to its copy is not seen here
                return frame
            except DataError as error:
                refused.append(str(error))
        return pytest.fail(f"{kind} refuses every made-up table; override `cells`: " + "; ".join(refused))

    def labels(self, kind: str, cells: pd.DataFrame) -> pd.DataFrame:
        """A label for each row of `cells`, in the columns that the task's example names; the default is 0 and 1."""
        config = rig.example(self.registry(), kind, TaskSpec)
        return samples.labels(config.columns(), len(cells))

    def file(self, kind: str, folder: Path) -> Path:
        """A file that a source can read, of at least 12 rows. The default knows CSV, JSON, JSON lines and Parquet."""
        endings = self.registry().spec(kind, SourceSpec).suffixes
        known = [ending for ending in endings if ending in samples.FORMATS]
        if not known:
            pytest.skip(f"no made-up file for {kind}, which reads {', '.join(endings) or 'no ending'}: override `file`")
        return samples.write(folder / f"sample{known[0]}")

    def partner(self, kind: str) -> tuple[str, str]:
        """(processor, backbone) to try a backbone or a task with: of this plugin where one fits, else a double."""
        task = self.registry().specs(TaskSpec).get(kind)
        processors, backbones = self._own_first(ProcessorSpec), self._own_first(BackboneSpec)
        fitting = {n: b for n, b in backbones.items() if (task.needs <= b.provides if task else n == kind)}
        for name, backbone in fitting.items():
            for processor, spec in processors.items():
                if spec.emits in backbone.accepts:
                    return processor, name
        return pytest.skip(f"neither this plugin nor the doubles have an input for {kind}: override `partner`")

    def best(self, kind: str) -> dict[str, float]:
        """Metric of a task -> its best value, where that is not 1 for "max" and 0 for "min"."""
        return {}

    # ---------------------------------------------------------------- the registry

    @classmethod
    def registry(cls) -> Registry:
        """The core, the doubles and this plugin, and no other plugin that happens to be installed."""
        return _registry(cls.plugin, cls.module_name())

    @classmethod
    def module_name(cls) -> str:
        """The module with the plugin's registration hooks."""
        return cls.module or _installed(cls.plugin)

    def owns(self, kind: str) -> bool:
        return kind.partition("/")[0] == self.plugin

    def _own_first(self, family: type[Any]) -> dict[str, Any]:
        return dict(sorted(self.registry().specs(family).items(), key=lambda item: not self.owns(item[0])))


@lru_cache(maxsize=16)
def _registry(plugin: str, module: str) -> Registry:
    """Built once for a plugin: pytest asks for it at every check while it collects."""
    return Registry.of(**{"double": doubles, plugin: import_module(module)})


def _installed(plugin: str) -> str:
    """The module behind an installed plugin's entry point."""
    found = [point.value for point in metadata.entry_points(group=GROUP) if point.name == plugin]
    if not found:
        raise pytest.UsageError(f"no installed plugin is called {plugin!r}: install it, or give the class a `module`")
    return found[0].partition(":")[0]
