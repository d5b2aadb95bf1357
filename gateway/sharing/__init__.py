"""The roles: Sending Server and Receiving Server, one method for each use case."""
