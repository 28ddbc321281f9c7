"""Starts servers and clients as processes and talks to them as the outside world does."""
