"""What a configuration can do with a request, apart from files and backends."""
