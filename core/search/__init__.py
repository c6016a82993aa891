"""What was said, found in every copy."""
