"""Other OCM Servers: what they are, whether they are who they say, and how we speak to them."""
