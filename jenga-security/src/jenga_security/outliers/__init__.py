"""Anomalies without labels, and with few: detectors, calibrated ranks, classical detectors to compare with."""
