"""The options of the builtin components, by the file that holds each."""

from .part_config import (
    AttentionConfig,
    ConcatConfig,
    DwaBalancingConfig,
    EarlyStoppingConfig,
    EmaConfig,
    FixedBalancingConfig,
    GradientStatisticsConfig,
    MeanConfig,
    UncertaintyBalancingConfig,
)
from .source_config import CsvConfig, JsonConfig, JsonlConfig, ParquetConfig
from .task_config import ClassificationConfig, MultiLabelConfig, RegressionConfig

__all__ = [
    "AttentionConfig",
    "ClassificationConfig",
    "ConcatConfig",
    "CsvConfig",
    "DwaBalancingConfig",
    "EarlyStoppingConfig",
    "EmaConfig",
    "FixedBalancingConfig",
    "GradientStatisticsConfig",
    "JsonConfig",
    "JsonlConfig",
    "MeanConfig",
    "MultiLabelConfig",
    "ParquetConfig",
    "RegressionConfig",
    "UncertaintyBalancingConfig",
]
