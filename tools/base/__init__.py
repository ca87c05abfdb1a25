"""What everything else stands on: disk, network, signals, log, optional packages. No tables, no media."""
