"""Pictures of rooms."""
