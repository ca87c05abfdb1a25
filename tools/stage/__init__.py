"""Run per-row work over a table: shards, guarded workers, ledger, batches, progress, failures."""
