"""Backbones and fusions: true shapes, and rows that know nothing of each other or of padding."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_model
from torch import Tensor, nn

from jenga_core.api import BackboneSpec, FusionSpec
from jenga_core.contracts import Array, Batch, Features, Part
from jenga_core.explaining.gradients import attribute

from ..rig import Fitted, assert_same_rows, example, fit, save, through_json
from .base import Samples


def assert_shapes(features: Features, rows: int, dim: int) -> None:
    length = features.tokens.shape[1]
    assert tuple(features.pooled.shape) == (rows, dim), f"pooled is {tuple(features.pooled.shape)}, not [B, out_dim]"
    assert tuple(features.tokens.shape) == (rows, length, dim), f"tokens are {tuple(features.tokens.shape)}"
    assert tuple(features.mask.shape) == (rows, length), f"mask is {tuple(features.mask.shape)}, not [B, T]"
    assert features.mask.dtype == torch.bool
    assert features.pooled.isfinite().all()
    assert features.tokens[features.mask].isfinite().all()


def assert_gradients(module: nn.Module, features: Features) -> None:
    """Every trainable parameter has a part in the features. Fixed random directions: a norm's sum would be constant."""
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(())
    for value in (features.pooled, features.tokens[features.mask]):
        total = total + (value * torch.randn(value.shape, generator=generator)).sum()
    torch.autograd.backward(total)
    without = [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None]
    assert not without, f"parameters that nothing depends on: {without}"
    assert all(p.grad.isfinite().all() for p in module.parameters() if p.grad is not None)


class NetworkChecks(Samples):
    def backbone_under_test(self, kind: str, folder: Path) -> tuple[nn.Module, Fitted]:
        """A backbone from its example, with new weights, and the fitted processor that feeds it."""
        registry, (processor, _) = self.registry(), self.partner(kind)
        config = example(registry, kind, BackboneSpec)
        fitted = fit(registry, processor, self.cells(processor, folder), config)
        torch.manual_seed(0)
        return registry.factory(kind, BackboneSpec)(config, through_json(fitted.processor.facts())).eval(), fitted

    def test_backbone_shapes(self, backbone: str, tmp_path: Path) -> None:
        model, fitted = self.backbone_under_test(backbone, tmp_path)
        for rows in (fitted.rows, fitted.rows[:1]):
            assert_shapes(model(**fitted.batch(rows)), len(rows), int(model.out_dim))  # type: ignore[arg-type]

    def test_backbone_row_is_the_same_alone_and_in_a_batch(self, backbone: str, tmp_path: Path) -> None:
        model, fitted = self.backbone_under_test(backbone, tmp_path)
        with torch.no_grad():
            together = model(**fitted.batch(fitted.rows))
            for at, row in enumerate(fitted.rows):
                alone = model(**fitted.batch(np.array([row])))
                assert_same_rows(together, alone, at, 0, f"row {row} in a batch and alone")

    def test_backbone_ignores_what_is_masked(self, backbone: str, tmp_path: Path) -> None:
        model, fitted = self.backbone_under_test(backbone, tmp_path)
        data = fitted.batch(fitted.rows)
        with torch.no_grad():
            before = model(**data)
            after = model(**{name: _scrambled(tensor, before.mask) for name, tensor in data.items()})
        torch.testing.assert_close(after.pooled, before.pooled, atol=1e-5, rtol=1e-4)

    def test_backbone_trains_every_parameter(self, backbone: str, tmp_path: Path) -> None:
        model, fitted = self.backbone_under_test(backbone, tmp_path)
        assert_gradients(model, model.train()(**fitted.batch(fitted.rows, "train")))

    def test_backbone_that_is_told_what_it_trains_on_stays_itself(self, backbone: str, tmp_path: Path) -> None:
        """Within `trained_on`: the same names, shapes, weights and outputs, and weights that can be put back. After it too."""
        model, fitted = self.backbone_under_test(backbone, tmp_path)
        names = [name for name, _ in model.named_parameters()]
        before = {name: value.clone() for name, value in model.state_dict().items()}
        with torch.no_grad():
            expected = model(**fitted.batch(fitted.rows)).pooled
        with model.trained_on([(fitted.encoded, fitted.rows[:1])]):  # type: ignore[operator]
            assert [name for name, _ in model.named_parameters()] == names
            assert _same(model.state_dict(), before), "state_dict is not that of the whole module"
            with torch.no_grad():
                assert torch.equal(model(**fitted.batch(fitted.rows)).pooled, expected)
                other = {name: value + 1 if value.is_floating_point() else value for name, value in before.items()}
                model.load_state_dict(other)
            assert _same(model.state_dict(), other), "load_state_dict does not take what state_dict gives"
        assert _same(model.state_dict(), other), "what was learned is lost at the end"
        assert [name for name, _ in model.named_parameters()] == names

    def test_backbone_survives_a_model_folder(self, backbone: str, tmp_path: Path) -> None:
        """Weights as safetensors, facts and `saved()` as JSON: the same architecture, the same numbers."""
        model, fitted = self.backbone_under_test(backbone, tmp_path)
        weights = save(tmp_path / "weights", model)
        config = example(self.registry(), backbone, BackboneSpec)
        facts, saved = through_json(fitted.processor.facts()), through_json(model.saved())  # type: ignore[operator]
        again = self.registry().factory(backbone, BackboneSpec)(config, facts, saved).eval()
        load_model(again, str(weights))
        with torch.no_grad():
            one, two = (m(**fitted.batch(fitted.rows)) for m in (model, again))
        assert torch.equal(one.pooled, two.pooled)
        assert torch.equal(one.tokens, two.tokens)

    def test_backbone_can_be_explained(self, backbone: str, tmp_path: Path) -> None:
        """Contributions of the processor's cells to a number made of `pooled` add up to it."""
        model, fitted = self.backbone_under_test(backbone, tmp_path)
        data = fitted.batch(fitted.rows, "predict")
        reference = fitted.processor.reference(data)
        if reference is None:
            return  # its processor cannot be explained
        batch = Batch("sample", fitted.rows, {"input": Part(torch.arange(len(fitted.rows)), data)}, {})
        direction = torch.randn(int(model.out_dim), generator=torch.Generator().manual_seed(0))  # type: ignore[arg-type]
        found = attribute(
            lambda b: model(**b.inputs["input"].data).pooled @ direction, batch, {"input": reference}, nodes=256
        )
        assert bool((found.error.abs() <= 0.05 * found.size + 1e-4).all()), "contributions do not add up"

    # ---------------------------------------------------------------- fusions

    def test_fusion_keeps_tokens_in_order(self, fusion: str) -> None:
        model, parts = self.fusion_under_test(fusion)
        fused = model(dict(reversed(parts.items())))  # the order is that of `dims`, not of this mapping
        assert_shapes(fused, 4, int(model.out_dim))  # type: ignore[arg-type]
        assert torch.equal(fused.mask, torch.cat([part.mask for part in parts.values()], dim=1))

    def test_fusion_row_is_the_same_alone_and_in_a_batch(self, fusion: str) -> None:
        model, parts = self.fusion_under_test(fusion)
        together = model(parts)
        for row in range(4):
            alone = model({name: _alone(part, row) for name, part in parts.items()})
            assert_same_rows(together, alone, row, 0, f"row {row} in a batch and alone")

    def test_fusion_ignores_what_is_masked(self, fusion: str) -> None:
        model, parts = self.fusion_under_test(fusion)
        other = {n: Features(_scrambled(p.tokens, p.mask), p.mask, p.pooled) for n, p in parts.items()}
        one, two = model(parts), model(other)
        torch.testing.assert_close(two.pooled, one.pooled)
        torch.testing.assert_close(two.tokens[two.mask], one.tokens[one.mask])

    def test_fusion_uses_every_input(self, fusion: str) -> None:
        model, parts = self.fusion_under_test(fusion)
        before = model(parts).pooled
        for name, part in parts.items():
            changed = Features(part.tokens + 1, part.mask, part.pooled * 2 + 1)
            assert not torch.allclose(model({**parts, name: changed}).pooled, before), f"input {name!r} changes nothing"

    def test_fusion_trains_every_parameter(self, fusion: str) -> None:
        model, parts = self.fusion_under_test(fusion)
        assert_gradients(model, model.train()(parts))

    def test_fusion_survives_a_model_folder(self, fusion: str, tmp_path: Path) -> None:
        model, parts = self.fusion_under_test(fusion)
        again, _ = self.fusion_under_test(fusion, seed=1)
        load_model(again, str(save(tmp_path, model)))
        assert torch.equal(model(parts).pooled, again(parts).pooled)

    def fusion_under_test(self, kind: str, seed: int = 0) -> tuple[nn.Module, dict[str, Features]]:
        """A fusion of three inputs of different widths and lengths, one of them without tokens in one row."""
        torch.manual_seed(seed)
        dims = {"type": 6, "b.c": 8, "a": 6}  # names that torch refuses for modules, and not in the alphabet's order
        model = self.registry().factory(kind, FusionSpec)(example(self.registry(), kind, FusionSpec), dims).eval()
        return model, _parts(dims, {"type": [3, 1, 2, 3], "b.c": [1, 1, 1, 1], "a": [0, 2, 4, 1]})


def _same(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> bool:
    return list(one) == list(two) and all(torch.equal(value, two[name]) for name, value in one.items())


def _parts(dims: Mapping[str, int], lengths: Mapping[str, list[int]]) -> dict[str, Features]:
    generator, parts = torch.Generator().manual_seed(0), {}
    for name, rows in lengths.items():
        mask = torch.arange(max(rows)) < torch.tensor(rows).unsqueeze(1)
        tokens = torch.randn((len(rows), max(rows), dims[name]), generator=generator)
        parts[name] = Features(tokens, mask, torch.randn((len(rows), dims[name]), generator=generator))
    return parts


def _alone(part: Features, row: int) -> Features:
    """One row without its padding."""
    kept: Array = part.mask[row].nonzero().squeeze(1).numpy()
    return Features(part.tokens[row : row + 1, kept], part.mask[row : row + 1, kept], part.pooled[row : row + 1])


def _scrambled(tensor: Tensor, mask: Tensor) -> Tensor:
    """Another value behind the mask: one that some unmasked place holds. A tensor that tells masked from unmasked stays."""
    if tensor.shape[:2] != mask.shape or bool(mask.all()) or not bool(mask.any()):
        return tensor
    if tensor.ndim == 2 and torch.equal(tensor.bool(), mask):
        return tensor
    other = tensor.clone()
    other[~mask] = tensor[mask][-1]
    return other
