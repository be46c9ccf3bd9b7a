"""The visit and who runs it: pure rules, journal, desk, workers, health."""
