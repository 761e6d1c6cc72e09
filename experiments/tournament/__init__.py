"""Rules against each other on many problems, by one protocol."""
