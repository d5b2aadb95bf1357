"""The faces: HTTP in, one call, the answer back out."""
