"""A TPM 2.0 (TCG library specification 1.38 or later) as key source, spoken to in its own commands."""
