"""The network process: MQTT, resumable upload, receipts. It holds nothing readable."""
