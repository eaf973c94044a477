"""Run by torchrun: a small encoder trained on texts by all ranks, then its weights as a file.

torchrun --nproc-per-node 2 ddp_text.py TOKENIZER FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import jenga_core
from small_encoders import config, frame


def main() -> None:
    tokenizer, folder = map(Path, sys.argv[1:])
    run = jenga_core.train(config(tokenizer, weight_decay=0.0), data=frame(), output=folder / "run", quiet=True)
    if run.rank == 0:
        torch.save(run.model.state_dict(), folder / "weights.pt")


if __name__ == "__main__":
    main()
