"""Deployed OCM Servers played by one small server and one table: for tests and rehearsals."""
