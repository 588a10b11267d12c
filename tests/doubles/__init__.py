"""Stand-ins for models, scripted. Conformance tests run the same suite against the real ones."""
