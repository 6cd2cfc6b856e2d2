"""Rubrics as people have them: any ordered scale, with or without descriptions, several criteria, and a library."""
