"""What each part costs."""
