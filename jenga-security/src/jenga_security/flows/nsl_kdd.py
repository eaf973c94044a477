"""NSL-KDD: text files of 42 or 43 columns without a header."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from jenga_core.builtin.csv_source import CsvSource
from jenga_core.builtin.source_config import CsvConfig
from jenga_core.contracts import Source
from jenga_core.errors import DataError
from jenga_core.textfiles import shown

from .config import NslKddConfig
from .lines import lines_of
from .signs import stranger

_TEXT = (
    "duration protocol_type service flag src_bytes dst_bytes land wrong_fragment urgent hot num_failed_logins logged_in "
    "num_compromised root_shell su_attempted num_root num_file_creations num_shells num_access_files num_outbound_cmds "
    "is_host_login is_guest_login count srv_count serror_rate srv_serror_rate rerror_rate srv_rerror_rate same_srv_rate "
    "diff_srv_rate srv_diff_host_rate dst_host_count dst_host_srv_count dst_host_same_srv_rate dst_host_diff_srv_rate "
    "dst_host_same_src_port_rate dst_host_srv_diff_host_rate dst_host_serror_rate dst_host_srv_serror_rate "
    "dst_host_rerror_rate dst_host_srv_rerror_rate label difficulty"
)
NAMES = tuple(_TEXT.split())


class NslKddSource(Source):
    """NSL-KDD (Tavallaee et al. 2009): 41 features, the label and the difficulty, under the names of its documentation.

    Not flows of the canonical schema: the features are KDD's, src_bytes and dst_bytes count payload.
    """

    def __init__(self, config: NslKddConfig) -> None:
        self.config = config

    def columns(self, path: Any) -> list[str]:
        self._names(path)
        return list(NAMES if self.config.difficulty else NAMES[:-1])

    def tables(self, path: Any, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        names = self._names(path)
        wanted = self.columns(path)
        if len(names) < len(wanted):
            raise DataError("the file has no column of difficulty", where=shown(path), next="difficulty: false")
        source = CsvSource(CsvConfig(kind="core/csv", header=False, names=names, delimiter=","))
        yield from source.tables_of(path, wanted, batch_rows=batch_rows)

    def _names(self, path: Any) -> list[str]:
        """Those of the 43 or, in files made without the difficulty, 42 columns."""
        first = next((line for piece in lines_of(path) for line in piece.lines if line.strip()), b"")
        cells = [cell.strip() for cell in first.decode().split(",")]
        if len(cells) not in (42, 43) or cells[1] not in ("tcp", "udp", "icmp"):
            raise stranger(
                "NSL-KDD: 42 or 43 columns without a header, the second of them tcp, udp or icmp",
                "security/nsl-kdd",
                f"{shown(path)}, line 1",
                first,
            )
        return list(NAMES[: len(cells)])
