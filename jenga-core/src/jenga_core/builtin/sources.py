"""The core's sources: CSV and TSV, JSON, JSON lines, Parquet.

Each fixes the type of a column for the whole file (see `cells`), names file, row and column of every defect, and gives
tables whose RangeIndex goes on from one to the next. Row 1 is the first row of data.
"""

from .csv_source import CsvSource
from .json_source import JsonlSource, JsonSource
from .parquet_source import ParquetSource

__all__ = ["CsvSource", "JsonSource", "JsonlSource", "ParquetSource"]
