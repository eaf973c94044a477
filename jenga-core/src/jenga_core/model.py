"""Backbones -> fusion -> heads, and `Step`: the one module that Accelerate wraps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from .contracts import Array, Backbone, Batch, Encoded, Features, Task, View
from .named import Named

if TYPE_CHECKING:
    from .data import EncodedTable


class Absent(nn.Module):
    """The learned token of an input that a row lacks."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(dim) * 0.02)


class Model(nn.Module):
    """One network for all tables of a run.

    `wiring`: table -> {input: name of its backbone}, in the config's order. `fusions`: table -> module, for tables with
    several inputs. `declines`: tasks that see each input on its own. `conditioning`: task -> the layers that it shares with
    others between body and head (`jenga_core.conditioning`).
    """

    def __init__(
        self,
        wiring: Mapping[str, Mapping[str, str]],
        backbones: Mapping[str, nn.Module],
        fusions: Mapping[str, nn.Module],
        heads: Mapping[str, nn.Module],
        declines: frozenset[str] = frozenset(),
        conditioning: Mapping[str, Mapping[str, nn.Module]] | None = None,
    ) -> None:
        super().__init__()
        self.wiring, self.declines = wiring, declines
        self.backbones, self.fusions, self.heads = Named(backbones), Named(fusions), Named(heads)
        several = [
            (name, backbone) for inputs in wiring.values() if len(inputs) > 1 for name, backbone in inputs.items()
        ]
        self.absent = Named({name: Absent(int(backbones[backbone].out_dim)) for name, backbone in several})  # type: ignore[arg-type]
        self._conditioning = {task: list(layers) for task, layers in (conditioning or {}).items()}
        self.conditioning = Named({n: m for layers in (conditioning or {}).values() for n, m in layers.items()})
        self._scoring = False
        self._seen: tuple[Batch, dict[str, Features]] | None = None

    def pads(self, table: str) -> bool:
        """Whether padding costs time in any backbone of this table."""
        return any(self.backbones[name].pads for name in self.wiring[table].values())

    def repeats(self, table: str) -> int:
        """How often a training batch holds each of its rows: what the backbone of this table that asks for most wants."""
        return max(int(self.backbones[name].repeats) for name in self.wiring[table].values())  # type: ignore[arg-type]

    @contextmanager
    def trained_on(self, tables: Mapping[str, EncodedTable], rows: Mapping[str, Array]) -> Iterator[None]:
        """Around training on `rows` of `tables`: each backbone learns which rows it will read.

        One that shares a parameter with another part of the model is not told: it alone does not know what that part reads.
        """
        seen: dict[str, list[tuple[Encoded, Array]]] = {name: [] for name, _ in self.backbones.items()}
        for table, inputs in self.wiring.items():
            for name, backbone in inputs.items():
                encoded = tables[table].inputs[name]
                seen[backbone].append((encoded, rows[table][encoded.present[rows[table]]]))
        families = (self.backbones, self.fusions, self.heads, self.absent, self.conditioning)
        holders = Counter(p for family in families for _, part in family.items() for p in set(part.parameters()))
        with ExitStack() as stack:
            for name, module in self.backbones.items():
                if all(holders[p] == 1 for p in module.parameters()):
                    stack.enter_context(cast(Backbone, module).trained_on(seen[name]))
            yield

    @contextmanager
    def scoring(self) -> Iterator[None]:
        """Within it several tasks (and the loss) ask for the same batch, and the backbones run once. Weights stay still."""
        self._scoring = True
        try:
            yield
        finally:
            self._scoring, self._seen = False, None

    def features(self, batch: Batch) -> dict[str, Features]:
        """Each input's Features over all rows of the batch; a backbone runs only on the rows that have its input."""
        seen = self._seen  # read once: several threads may score with one model
        if seen is not None and seen[0].inputs is batch.inputs:  # the same inputs, with or without targets
            return seen[1]
        found = {name: self._input(batch, name, backbone) for name, backbone in self.wiring[batch.table].items()}
        self._seen = (batch, found) if self._scoring else None
        return found

    def _input(self, batch: Batch, name: str, backbone: str) -> Features:
        part = batch.inputs.get(name)
        if part is not None:
            features: Features = self.backbones[backbone](**part.data)
            if len(part.rows) == len(batch):
                return features
            return features.spread(part.rows, len(batch), self._token(name, features.pooled))
        token = self.absent[name].token
        return Features.of_pooled(token.expand(len(batch), -1))  # type: ignore[operator]

    def _token(self, name: str, like: Tensor) -> Tensor:
        """Rows without the only input of their table are never asked for: their place is zeros and is not read."""
        return self.absent[name].token if name in self.absent else like.new_zeros(like.shape[1])  # type: ignore[return-value]

    def body(self, task: str, table: str) -> list[nn.Module]:
        """What the loss of a task of that table can reach outside its head."""
        inputs = self.wiring[table]
        parts = [self.backbones[name] for name in dict.fromkeys(inputs.values())]
        parts += [self.absent[name] for name in inputs if name in self.absent]
        if table in self.fusions and task not in self.declines:
            parts.append(self.fusions[table])
        return parts + [self.conditioning[name] for name in self._conditioning.get(task, ())]

    def view(self, batch: Batch, *, fuse: bool = True) -> View:
        """What the heads of this batch see."""
        parts = self.features(batch)
        if not fuse:
            return View(None, parts)
        if batch.table not in self.fusions:
            return View(next(iter(parts.values())), parts)
        slices, at = {}, 0
        for name, features in parts.items():
            slices[name] = slice(at, at + features.tokens.shape[1])
            at = slices[name].stop
        return View(self.fusions[batch.table](parts), parts, slices)

    def forward(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
        """Outputs of every task that has labels in the batch, at its labelled rows. No label: the head does not run."""
        views: dict[bool, View] = {}
        outputs = {}
        for name, part in batch.targets.items():
            fuse = name not in self.declines
            if fuse not in views:
                views[fuse] = self.view(batch, fuse=fuse)
            outputs[name] = self.heads[name](views[fuse].take(part.rows), part.data)
        return outputs


class Step(nn.Module):
    """Forward pass and losses of one micro-batch in one module, so that DDP and autocast wrap all of it.

    Returns {"": combined loss, term: loss, ...}; every term is already divided by the window's count.
    """

    def __init__(self, model: Model, tasks: Mapping[str, Task], hook: Any, run: Any, world: int) -> None:
        super().__init__()
        self.model, self.tasks, self.hook, self.run, self.world = model, tasks, hook, run, world
        self.link = nn.Parameter(torch.zeros(()))  # no part of the model, and never optimized

    def forward(self, batch: Batch, counts: Mapping[str, float], share: float) -> dict[str, Tensor]:
        scale = {name: self.world / count for name, count in counts.items() if count > 0}
        outputs = self.model(batch) if batch.inputs else {}
        losses = {
            n: self.tasks[n].loss(outputs[n], part.data) * scale[n] for n, part in batch.targets.items() if n in outputs
        }
        for extra in self.hook.add_losses(run=self.run, batch=batch, outputs=outputs, scale=scale):
            losses.update(extra or {})
        if self.world == 1:
            return {"": self._combined(losses, share), **losses} if losses else {}
        # Every rank has a gradient, even one without a row, a label or a head that learns, or the others' reduction would
        # wait for it for ever.
        combined = self._combined(losses, share) if losses else 0.0
        return {"": combined + 0.0 * self.link, **losses}

    def _combined(self, losses: Mapping[str, Tensor], share: float) -> Tensor:
        combined: Tensor = self.hook.combine_losses(run=self.run, losses=losses, share=share)
        return combined


def not_finite(module: nn.Module) -> str | None:
    """The name of the first parameter or buffer that holds NaN or infinity, or None."""
    for name, value in module.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            return name
    return None


def parameter_groups(model: Model, default: float, weight_decay: float) -> list[dict[str, Any]]:
    """Trainable parameters by learning rate: `default`, or what a backbone says. Matrices decay, the others do not."""
    rates: dict[Tensor, float] = {}
    for _, backbone in model.backbones.items():
        own = cast(Backbone, backbone).learning_rates(default)
        rates.update({p: own[name] for name, p in backbone.named_parameters() if name in own})
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            decay = weight_decay if parameter.ndim >= 2 else 0.0
            groups.setdefault((rates.get(parameter, default), decay), []).append(parameter)
    return [{"params": found, "lr": rate, "weight_decay": decay} for (rate, decay), found in groups.items()]
