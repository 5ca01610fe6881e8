"""Pictures in and out: everything that touches Pillow, colour profiles and files."""
