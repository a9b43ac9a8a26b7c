"""What is answered about transfers: in which format, with which fields, and to whom."""
