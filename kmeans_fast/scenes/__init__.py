"""Scenes, files with their place on the earth, classified: every pixel that is there."""
