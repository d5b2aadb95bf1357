"""WebDAV as a reverse proxy sees it."""
