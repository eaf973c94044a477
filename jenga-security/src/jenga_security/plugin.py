"""What jenga-security registers, as the plugin `security`. Imports `jenga_core.api` and nothing else."""

from jenga_core.api import (
    BackboneSpec,
    CommandSpec,
    ExampleSpec,
    ProcessorSpec,
    SourceSpec,
    TaskSpec,
    TrainerHookSpec,
    hookimpl,
)

TABLE, WINDOWS = frozenset({"table"}), frozenset({"windows"})
FLOWS = "jenga_security.flows"
OUTLIERS = "jenga_security.outliers"


def _flows(name: str, module: str, stem: str, summary: str) -> SourceSpec:
    return SourceSpec(
        name=name, factory=f"{FLOWS}.{module}:{stem}Source", config=f"{FLOWS}.config:{stem}Config", summary=summary
    )


@hookimpl
def jenga_register_sources() -> list[SourceSpec]:
    return [
        _flows("zeek-conn", "zeek", "ZeekConn", "Flows of Zeek's conn.log, TSV or JSON"),
        _flows("suricata-eve", "suricata", "SuricataEve", "Flows or alerts of Suricata's eve.json"),
        _flows("nfdump", "nfdump", "Nfdump", "NetFlow and IPFIX as nfdump -o csv or -o json writes them"),
        SourceSpec(
            name="pcap",
            factory=f"{FLOWS}.pcap:PcapSource",
            config=f"{FLOWS}.config:PcapConfig",
            suffixes=(".pcap", ".pcapng"),
            summary="Flows of captured packets, metered by NFStream; needs jenga-security[pcap]",
        ),
        _flows("unsw-nb15", "datasets", "UnswNb15", "UNSW-NB15: the training and testing set, or the raw files"),
        _flows("cicids", "datasets", "Cicids", "CICIDS2017, CSE-CIC-IDS2018 and other CSV of CICFlowMeter"),
        _flows("nsl-kdd", "nsl_kdd", "NslKdd", "NSL-KDD, with the names that its files lack"),
    ]


@hookimpl
def jenga_register_processors() -> list[ProcessorSpec]:
    return [
        ProcessorSpec(
            name="table",
            factory="jenga_security.processors:TableProcessor",
            config="jenga_security.table_config:TableConfig",
            emits="table",
            summary="Numbers and categories of a table: scaling, missing values, a bucket for unseen categories",
        ),
        ProcessorSpec(
            name="window",
            factory="jenga_security.windows:WindowProcessor",
            config="jenga_security.table_config:WindowConfig",
            emits="windows",
            summary="Each row with the rows of its host or account before it: causal, never across groups or splits",
        ),
    ]


@hookimpl
def jenga_register_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="tabular-mlp",
            factory="jenga_security.backbones:TabularMlp",
            config="jenga_security.config:MlpConfig",
            accepts=TABLE,
            summary="A multilayer perceptron over scaled numbers and embedded categories",
        ),
        BackboneSpec(
            name="tabular-resnet",
            factory="jenga_security.backbones:TabularResnet",
            config="jenga_security.config:ResnetConfig",
            accepts=TABLE,
            summary="The ResNet for tables of Gorishniy et al. 2021, with layer norm",
        ),
        BackboneSpec(
            name="ft-transformer",
            factory="jenga_security.transformer:FtTransformer",
            config="jenga_security.config:FtTransformerConfig",
            accepts=TABLE,
            summary="The FT-Transformer of Gorishniy et al. 2021: attention between the columns of a row",
        ),
        BackboneSpec(
            name="tabm",
            factory="jenga_security.tabm:Tabm",
            config="jenga_security.network_config:TabmConfig",
            accepts=TABLE,
            summary="An ensemble of perceptrons that share their weights, after TabM of Gorishniy et al. 2024",
        ),
        BackboneSpec(
            name="gru",
            factory="jenga_security.recurrent:Gru",
            config="jenga_security.config:GruConfig",
            accepts=WINDOWS,
            summary="A gated recurrent unit over windows, oldest row first",
        ),
        BackboneSpec(
            name="lstm",
            factory="jenga_security.recurrent:Lstm",
            config="jenga_security.network_config:LstmConfig",
            accepts=WINDOWS,
            summary="Long short-term memory over windows, oldest row first",
        ),
        BackboneSpec(
            name="causal-transformer",
            factory="jenga_security.causal:CausalTransformer",
            config="jenga_security.network_config:CausalTransformerConfig",
            accepts=WINDOWS,
            summary="Attention from each row of a window to the rows before it",
        ),
        BackboneSpec(
            name="autoencoder",
            factory=f"{OUTLIERS}.networks:Autoencoder",
            config=f"{OUTLIERS}.config:AutoencoderConfig",
            accepts=frozenset({"table", "windows"}),
            provides=frozenset({"pooled", "tokens", "reconstruction"}),
            summary="A row through a narrow code and back: for anomalies without labels",
        ),
        BackboneSpec(
            name="bias-free-mlp",
            factory=f"{OUTLIERS}.networks:BiasFreeMlp",
            config=f"{OUTLIERS}.config:BiasFreeConfig",
            accepts=frozenset({"table", "windows"}),
            provides=frozenset({"pooled", "tokens", "bias-free"}),
            summary="A multilayer perceptron without biases, for security/one-class",
        ),
    ]


@hookimpl
def jenga_register_tasks() -> list[TaskSpec]:
    return [
        TaskSpec(
            name="anomaly",
            factory="jenga_security.tasks:AnomalyTask",
            config="jenga_security.config:AnomalyConfig",
            summary="Attack or normal from labels: a probability and an alert threshold",
        ),
        TaskSpec(
            name="outlier",
            factory=f"{OUTLIERS}.task:OutlierTask",
            config=f"{OUTLIERS}.config:OutlierConfig",
            needs=frozenset({"pooled", "reconstruction"}),
            summary="Rows unlike the others, without labels or with few: a calibrated rank and an alert threshold",
        ),
        TaskSpec(
            name="one-class",
            factory=f"{OUTLIERS}.task:OneClassTask",
            config=f"{OUTLIERS}.config:OneClassConfig",
            needs=frozenset({"pooled", "bias-free"}),
            summary="The same by Deep SVDD, with few labels Deep SAD, over a network without biases",
        ),
    ]


@hookimpl
def jenga_register_trainer_hooks() -> list[TrainerHookSpec]:
    return [
        TrainerHookSpec(
            name="drift-monitor",
            factory="jenga_security.monitor:DriftMonitorHook",
            config="jenga_security.config:DriftMonitorConfig",
            summary="A warning while scoring when rows are no longer like those of training",
        ),
    ]


@hookimpl
def jenga_register_commands() -> list[CommandSpec]:
    commands = "jenga_security.commands"
    return [
        CommandSpec(
            name="calibrate",
            factory=f"{commands}.calibrate:calibrate_app",
            summary="Another alert threshold for a finished model, without training.",
        ),
        CommandSpec(
            name="drift",
            factory=f"{commands}.drift:drift_app",
            summary="Are new rows still like those the model was trained on?",
        ),
        CommandSpec(
            name="watch",
            factory=f"{commands}.watch:watch_app",
            summary="Alerts for the rows of a log, as they are written.",
        ),
    ]


@hookimpl
def jenga_register_examples() -> list[ExampleSpec]:
    return [
        ExampleSpec(
            name="network-threats",
            factory="jenga_security.examples.network_threats:write",
            summary="Attacks in synthetic network flows: scans, brute force, exfiltration, floods",
        ),
        ExampleSpec(
            name="transaction-fraud",
            factory="jenga_security.examples.transaction_fraud:write",
            summary="Frauds in synthetic mobile-money transactions: SIM swaps, scams, colluding agents, tried cards",
        ),
        ExampleSpec(
            name="aiops",
            factory="jenga_security.examples.aiops:write",
            summary="Incidents in synthetic metrics of hosts over time: leaks, slow disks, bad releases",
        ),
    ]
