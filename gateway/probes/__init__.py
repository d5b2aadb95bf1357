"""PROBES  what works and what does not, from the outside in; each finding says what to do."""
