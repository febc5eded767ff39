"""Views of scans."""
