"""Built-in data: pictures of rooms and scans of rooms."""
