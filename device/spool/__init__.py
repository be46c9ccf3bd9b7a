"""The one hatch between agent and uplink: sealed things, reports and receipts on disk, and a doorbell."""
