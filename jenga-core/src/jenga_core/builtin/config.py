"""The options of the builtin components, by the file that holds each."""

from .balancing_config import (
    CagradBalancingConfig,
    DwaBalancingConfig,
    FixedBalancingConfig,
    GradnormBalancingConfig,
    MgdaBalancingConfig,
    NashMtlBalancingConfig,
    PcgradBalancingConfig,
    RandomBalancingConfig,
    UncertaintyBalancingConfig,
)
from .part_config import (
    AttentionConfig,
    ConcatConfig,
    EarlyStoppingConfig,
    EmaConfig,
    GradientStatisticsConfig,
    MeanConfig,
)
from .source_config import CsvConfig, JsonConfig, JsonlConfig, ParquetConfig
from .task_config import ClassificationConfig, MultiLabelConfig, RegressionConfig

__all__ = [
    "AttentionConfig",
    "CagradBalancingConfig",
    "ClassificationConfig",
    "ConcatConfig",
    "CsvConfig",
    "DwaBalancingConfig",
    "EarlyStoppingConfig",
    "EmaConfig",
    "FixedBalancingConfig",
    "GradientStatisticsConfig",
    "GradnormBalancingConfig",
    "JsonConfig",
    "JsonlConfig",
    "MeanConfig",
    "MgdaBalancingConfig",
    "MultiLabelConfig",
    "NashMtlBalancingConfig",
    "ParquetConfig",
    "PcgradBalancingConfig",
    "RandomBalancingConfig",
    "RegressionConfig",
    "UncertaintyBalancingConfig",
]
