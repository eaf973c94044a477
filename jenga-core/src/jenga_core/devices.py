"""Where a loaded model computes."""

from __future__ import annotations

import torch

from .config import RunConfig
from .errors import UserError, nearest


def device_of(config: RunConfig, given: str | torch.device | None) -> torch.device:
    """`given`: "cpu", "cuda", "cuda:1" ... UserError for one that is not here.

    None: an accelerator where there is one and the config's `train.device` allows it, else the CPU. Apple's is used when it
    is asked for: it has no double precision, in which reasons and some scores are computed.
    """
    here = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if given is None:
        usual = here is not None and here.type != "mps" and config.train.device == "auto"
        given = here.type if here is not None and usual else "cpu"
    count = 0 if here is None else torch.accelerator.device_count()
    allowed = ["cpu", *([] if here is None else [here.type, *(f"{here.type}:{n}" for n in range(count))])]
    if str(given) not in (*allowed, "cpu:0"):
        raise UserError(
            f"there is no device {str(given)!r} here", where="device", allowed=allowed,
            nearest=nearest(str(given), allowed), next="jenga doctor says what this machine has",
        )  # fmt: skip
    device = torch.device(given)
    if device.type != "cpu" and device.index is None:  # the one of this thread: others may have another
        return torch.device(device.type, torch.accelerator.current_device_index())
    return device
