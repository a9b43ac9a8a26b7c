"""What is answered about transfers."""
