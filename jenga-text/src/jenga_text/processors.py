"""text/tokenizer and text/train-bpe: columns of text -> token ids with their places in the text, tokenized once."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer
from torch import Tensor

from jenga_core import states
from jenga_core.contracts import Array, Classical, Encoded, Processor, Purpose, Ragged, Reference
from jenga_core.errors import DataError, UserError

from .cells import kept
from .config import TokenizerConfig, TokensConfig, TrainBpeConfig
from .places import whole_letters
from .readable import as_they_came, whole_words
from .redaction import TextReader, counted
from .rows import Template, assemble
from .tfidf import TfIdf

AT_ONCE = 1024  # texts handed to the tokenizer together: bounds memory, feeds all of its threads


class TokensProcessor(Processor):
    """Encoded columns: `ids` and `types` (Ragged, a token each), `cut` and `lead` int64 [N], `text 0`, ...; `spans` per token.

    A row without any text is not present. `lengths` counts special tokens. Collated: `ids`, `mask`, `types` [B, T], and
    `lead` [B] where rows are not cut. With `redact` the texts are those without personal data, while `spans` are places in
    the texts as they came.
    """

    config: TokensConfig
    tokenizer: Any = None
    columns: tuple[str, ...] = ()  # those it was fitted on: tasks find the column of a text by its name
    pad = 0
    unknown: int | None = None
    mask: int | None = None
    _tfidf = TfIdf()

    def __init__(self, config: Any, backbone_config: Any = None) -> None:
        self.config, self.reader = config, TextReader(config.redact)
        self.confidential = config.redact is not None
        self.keeps_texts = not self.confidential  # in what it encodes, where `spans` are places in them: for baselines

    def fit(self, cells: pd.DataFrame) -> None:
        self.fit_together([cells], 0)

    def fit_together(self, cells: Sequence[pd.DataFrame], own: int) -> None:
        texts, self.columns = [self.reader.read(some).texts for some in cells], tuple(map(str, cells[own].columns))
        self._keep(*self._make([column for some in texts for column in some]))
        self._tfidf = TfIdf(texts[own])

    @abstractmethod
    def _make(self, texts: list[list[str]]) -> tuple[Any, int | None, int | None, int | None]:
        """(tokenizer, ids of padding, of unknown tokens, of a mask that the encoder was trained with) for these texts."""

    def state(self) -> dict[str, Any]:
        own = {"tokenizer": self.tokenizer.to_str(), "pad": self.pad, "unknown": self.unknown, "mask": self.mask}
        return {**own, **self.reader.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        with _tokenizing("the state holds no tokenizer"):
            tokenizer = Tokenizer.from_str(states.text(state["tokenizer"]))
            self._keep(tokenizer, state["pad"], state["unknown"], state["mask"])
        special = [token for token in (state["pad"], state["unknown"], state["mask"]) if token is not None]
        for token in (*special, *self.template.ids):
            states.whole(token, below=self._size)
        states.whole(max(self.template.types), below=256)
        self.reader.restore(state)

    def _keep(self, tokenizer: Any, pad: int | None, unknown: int | None, mask: int | None) -> None:
        """Checkpoints come with settings of their own for cutting and padding: here both are done by rows."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.tokenizer, self.pad, self.unknown, self.mask = tokenizer, pad or 0, unknown, mask
        self.template = Template.of(tokenizer)

    def facts(self) -> Mapping[str, Any]:
        return {
            "vocabulary": self._size,
            "pad": self.pad,
            "types": max(self.template.types) + 1,
            "tail": len(self.template.after),
            "tokens": hashlib.sha256(self.tokenizer.to_str().encode()).hexdigest()[:12],
        }

    @property
    def _size(self) -> int:
        """One more than the largest id: numbers of tokens may have gaps."""
        return 1 + max(self.tokenizer.get_vocab(with_added_tokens=True).values(), default=0)

    def encode(self, cells: pd.DataFrame) -> Encoded:
        read = self.reader.read(cells)
        columns = [self._tokens(column) for column in read.texts]
        rows = assemble(
            [ids for ids, _ in columns], [places for _, places in columns], self.template, self.config.max_length
        )
        present = np.logical_or.reduce([ids.lengths() > 0 for ids, _ in columns])
        tokens: dict[str, Array | Ragged] = {"ids": rows.ids, "types": rows.types, "cut": rows.cut, "lead": rows.lead}
        return Encoded(
            {**tokens, **kept(read.texts), **read.columns(rows.spans)},
            present,
            lengths=rows.ids.lengths(),
            spans=read.original(rows.spans),
            excluded={"no text": int((~present).sum())} if not present.all() else {},
        )

    def _tokens(self, texts: list[str]) -> tuple[Ragged, Array]:
        """(ids of each text, (start, end) in characters of each token)."""
        lengths, ids, places = [], [], []
        for at in range(0, len(texts), AT_ONCE):
            with _tokenizing("the model's tokenizer cannot read a text"):
                found = self.tokenizer.encode_batch(texts[at : at + AT_ONCE], add_special_tokens=False)
            for made in found:
                lengths.append(len(made))
                ids.append(np.asarray(made.ids, dtype=np.int32))
                places.append(np.asarray(made.offsets, dtype=np.int32).reshape(-1, 2))
        starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
        every = np.concatenate(ids) if ids else np.zeros(0, np.int32)
        where = np.concatenate(places) if places else np.zeros((0, 2), np.int32)
        return Ragged(every, starts), whole_letters(where, texts, starts)

    def collate(
        self, encoded: Encoded, rows: Array, purpose: Purpose, rng: np.random.Generator
    ) -> Mapping[str, Tensor]:
        ids, types = encoded.columns["ids"], encoded.columns["types"]
        assert isinstance(ids, Ragged)
        assert isinstance(types, Ragged)
        padded = ids.padded(rows, self.pad)
        mask = np.arange(padded.shape[1]) < ids.lengths(rows)[:, None]
        made = {"ids": padded.astype(np.int64), "mask": mask}
        if max(self.template.types):
            made["types"] = types.padded(rows).astype(np.int64)
        if self.config.max_length is None:
            made["lead"] = np.asarray(encoded.columns["lead"])[rows]
        return {name: torch.from_numpy(array) for name, array in made.items()}

    def reference(self, data: Mapping[str, Tensor]) -> Reference:
        """A mask in the place of every token of a text; of padding where no mask was ever trained. Special tokens stay.

        A pretrained encoder knows its mask as "some word". In new weights nothing is trained on a mask, and the embedding
        of padding is zero, the reference of Sundararajan et al. for texts.
        """
        ids = data["ids"]
        stay = torch.tensor(self.template.ids, dtype=ids.dtype, device=ids.device)
        nothing = ids.new_tensor(self.pad if self.mask is None else self.mask)
        return Reference({"ids": torch.where(data["mask"] & ~torch.isin(ids, stay), nothing, ids)})

    def shown(self, encoded: Encoded, rows: Array) -> Ragged:
        """The words that the tokens are pieces of, where they stand in the texts as they came."""
        assert encoded.spans is not None
        texts = [value for name, value in encoded.columns.items() if name.startswith("text ")]
        read = [np.asarray(column)[rows].tolist() for column in texts]
        places = encoded.columns.get("places")
        if not isinstance(places, Ragged):
            return whole_words(encoded.spans.take(rows), read)
        return as_they_came(whole_words(places.take(rows), read), encoded.spans.take(rows))

    def counts(self, encoded: Encoded, rows: Array) -> Mapping[str, int]:
        """Rows that were cut, with the share of all tokens that this lost, with unknown tokens, with something redacted."""
        ids, cut = encoded.columns["ids"], np.asarray(encoded.columns["cut"])[rows]
        assert isinstance(ids, Ragged)
        row, _, value = ids.flat(rows)
        share = cut.sum() / max(cut.sum() + len(value), 1)
        found = {f"cut to {self.config.max_length} tokens ({share:.1%} of all tokens lost)": int((cut > 0).sum())}
        if self.unknown is not None:
            found["holds characters that the tokenizer does not know"] = len(np.unique(row[value == self.unknown]))
        return {reason: n for reason, n in found.items() if n} | counted(encoded.columns, rows)

    def classical(self, encoded: Encoded, rows: Array) -> Classical | None:
        return self._tfidf.features(encoded, rows)


class TokenizerProcessor(TokensProcessor):
    """text/tokenizer: nothing is learned. The files of the tokenizer go into the model folder."""

    def __init__(self, config: TokenizerConfig, backbone_config: Any = None) -> None:
        super().__init__(config)
        self.pretrained = getattr(backbone_config, "checkpoint", None) is not None
        self.checkpoint = config.checkpoint or getattr(backbone_config, "checkpoint", None)

    def _make(self, texts: list[list[str]]) -> tuple[Any, int | None, int | None, int | None]:
        if self.checkpoint is None:
            raise UserError(
                "text/tokenizer needs to know which tokenizer: neither it nor its backbone names a checkpoint",
                next="give the processor `checkpoint: NAME`, or use `processor: text/train-bpe`",
            )
        from .checkpoints import load_tokenizer

        found = load_tokenizer(self.checkpoint)
        made = Tokenizer.from_str(found.backend_tokenizer.to_str())
        return made, found.pad_token_id, found.unk_token_id, found.mask_token_id if self.pretrained else None


class TrainBpeProcessor(TokensProcessor):
    """text/train-bpe. The same training rows give the same tokens."""

    config: TrainBpeConfig

    def _make(self, texts: list[list[str]]) -> tuple[Any, int | None, int | None, int | None]:
        from .bpe import PAD, train

        if not any(any(column) for column in texts):
            raise DataError(f"there is no text in the {len(texts[0]):,} training rows")
        tokenizer = train((text for column in texts for text in column), self.config)
        return tokenizer, tokenizer.token_to_id(PAD), None, None


@contextmanager
def _tokenizing(what: str) -> Iterator[None]:
    """UserError for what the tokenizers library raises, which is a bare Exception or, where Rust panics, not even one."""
    try:
        yield
    except (UserError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise UserError(f"{what}: {str(error).strip() or type(error).__name__}", where="tokenizer") from error
