"""Minimal pairs and test suites: sentences of which a model should find one less surprising than another."""
