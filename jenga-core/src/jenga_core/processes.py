"""The processes of one run: what may start them, and the `Accelerator` by which they find each other."""

from __future__ import annotations

import atexit
import os
from importlib.util import find_spec

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import ProjectConfiguration

from .config import RunConfig
from .errors import UserError
from .scoring import keep_precision

MODES = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


def check_place(config: RunConfig) -> None:
    """Refuse what Accelerate would leave out without a word, or cannot do yet."""
    for name in config.train.trackers:
        if find_spec(name) is None:
            raise UserError(
                f"{name} is not installed", where="train.trackers", next=f'pip install "jenga-core[{name}]"'
            )
    for engine in ("FSDP", "DEEPSPEED", "MEGATRON_LM"):
        if os.environ.get(f"ACCELERATE_USE_{engine}", "").lower() in ("1", "true", "yes", "on", "y", "t"):
            raise UserError(
                f"{engine} is not supported: a process may hold a batch without labels, which sharding cannot reduce",
                where="accelerate launch",
                next="torchrun --nproc-per-node N -m jenga_core.cli train CONFIG",
            )


def check_precision(config: RunConfig, accelerator: Accelerator) -> None:
    """On a CPU Accelerate takes fp16 for fp32 without a word: there is no loss scaling there."""
    if config.train.precision == "fp16" and accelerator.device.type == "cpu":
        raise UserError("fp16 needs an accelerator; this run is on the CPU", where="train.precision",
                        allowed=["fp32", "bf16"])  # fmt: skip


def start_accelerator(config: RunConfig) -> Accelerator:
    """Accelerate keeps its settings in process-wide state: a second run of one process may want others."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
    else:
        atexit.register(leave_group)
    if config.train.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if config.train.deterministic or torch.are_deterministic_algorithms_enabled():  # the call alone takes seconds
        torch.use_deterministic_algorithms(config.train.deterministic)
    keep_precision(config.train.precision)
    # Without a GPU Accelerate forms no group of torchrun's processes unless it is told that the CPU is meant.
    group_on_cpu = world > 1 and "LOCAL_RANK" in os.environ and not torch.accelerator.is_available()
    accelerator = Accelerator(
        mixed_precision=MODES[config.train.precision],
        cpu=config.train.device == "cpu" or group_on_cpu,
        log_with=list(config.train.trackers) or None,
        project_config=ProjectConfiguration(logging_dir="trackers"),  # moved into the run's folder once that is known
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    check_world(world, accelerator)
    return accelerator


def check_world(world: int, accelerator: Accelerator) -> None:
    """Processes that do not find each other would train as many models, all into one folder."""
    if accelerator.num_processes != world:
        raise UserError(
            f"WORLD_SIZE says that this is one of {world} processes, but on {accelerator.device} they form no group",
            where="torchrun" if "LOCAL_RANK" in os.environ else "the environment",
            next="--set train.device=cpu trains with several processes on the CPU; for one process: unset WORLD_SIZE"
            if "LOCAL_RANK" in os.environ
            else "unset WORLD_SIZE, or torchrun --nproc-per-node N -m jenga_core.cli train CONFIG",
        )


def leave_group() -> None:
    """End the group of processes before the interpreter ends: threads of a group that is left open can abort the process."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
