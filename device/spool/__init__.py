"""The one hatch between agent and uplink, on disk: sealed things and reports only."""
