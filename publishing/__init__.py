"""From an audited candidate to what readers see: lock, receipts, versions, rollback."""
