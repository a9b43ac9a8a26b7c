"""The store of many machines, on Redis or Valkey."""
