"""Shared basics: disk, network, signals, log, optional packages. No tables, no media."""
