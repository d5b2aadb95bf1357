"""The data plane's own way to the storage: HTTP/1.1 with few microseconds a request."""
