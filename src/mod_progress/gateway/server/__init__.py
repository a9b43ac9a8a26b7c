"""The processes that serve, and the connections of their clients."""
