"""What a column is by its name alone: an answer that no feature may give away, or a port. Torch-free."""

from __future__ import annotations

import re

# names of labels in the data sets of network threats, fraud and operations, and in tables from model toolkits; compared whole,
# in lower case, with spaces, dots and dashes as underscores
LABELS = frozenset(
    {
        "label", "labels", "class", "classes", "target", "targets", "y", "y_true", "ground_truth", "is_label",
        "attack", "attacks", "attack_cat", "attack_category", "attack_type", "attack_label", "attack_class",
        "attack_name", "is_attack", "detailed_label", "label_name", "label_type", "label_class", "class_label",
        "binary_label", "multiclass_label", "label_binary", "label_tactic", "anomaly", "is_anomaly",
        "anomaly_label", "anomalous", "is_anomalous", "outlier", "is_outlier", "fraud", "is_fraud", "isfraud",
        "fraud_label", "fraud_reported", "fraud_flag", "fraudulent", "is_fraudulent", "fraudfound",
        "fraudfound_p", "isflaggedfraud", "is_flagged_fraud", "malicious", "is_malicious", "malware",
        "is_malware", "phishing", "is_phishing", "intrusion", "is_intrusion",
    }
)  # fmt: skip

# ports are names that look like numbers: 443 is no more like 444 than like 22
PORTS = frozenset(
    {
        "port", "ports", "src_port", "source_port", "dst_port", "dest_port", "destination_port", "sport",
        "dport", "dsport", "srcport", "dstport", "sourceport", "destport", "destinationport", "id_orig_p",
        "id_resp_p", "orig_p", "resp_p", "l4_src_port", "l4_dst_port", "spt", "dpt", "local_port",
        "remote_port", "server_port", "client_port", "tcp_srcport", "tcp_dstport", "udp_srcport", "udp_dstport",
        "port_number",
    }
)  # fmt: skip


def plain(name: str) -> str:
    """Of "Destination Port", "id.resp_p": what the lists above have."""
    return re.sub(r"[\s.\-]+", "_", name.strip().casefold())


def is_label(name: str) -> bool:
    return plain(name) in LABELS


def is_port(name: str) -> bool:
    return plain(name) in PORTS
