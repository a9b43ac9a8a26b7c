"""The store of many machines, in Redis or Valkey."""
