"""How far an HTTP transfer is: tracked under the client's id, shown to anybody who knows it."""

__version__ = "0.1.0"
