"""The files of a server: spaces, listings, transfers."""
