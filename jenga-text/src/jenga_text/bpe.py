"""A byte-level BPE tokenizer from texts: no character is unknown to it."""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from .config import TrainBpeConfig

PAD, FIRST, LAST, MASK = "[PAD]", "[CLS]", "[SEP]", "[MASK]"
LONGEST = 512  # bytes of a word that are learned from as one: learning takes time by the square of it


def train(texts: Iterator[str], config: TrainBpeConfig) -> Tokenizer:
    """A pure function of the texts and the options: pairs that are equally frequent are taken in the order of their ids.

    Longer words than LONGEST are learned from in pieces, and tokenized whole.
    """
    tokenizer = Tokenizer(models.BPE())
    lower = [normalizers.Lowercase()] if config.lowercase else []
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), *lower])
    words = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.FixedLength(LONGEST)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        min_frequency=config.min_frequency,
        special_tokens=[PAD, FIRST, LAST, MASK],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = words
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{FIRST} $A {LAST}",
        pair=f"{FIRST} $A {LAST} $B:1 {LAST}:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (FIRST, LAST)],
    )
    return tokenizer
