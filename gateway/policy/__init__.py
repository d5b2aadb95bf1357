"""Who may federate, and why not."""
