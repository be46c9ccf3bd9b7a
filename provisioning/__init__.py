"""The IT administrator's tools: certificates, kits, and the demo of a whole fleet."""
