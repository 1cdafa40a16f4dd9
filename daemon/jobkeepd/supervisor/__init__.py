"""Owns every active job as a task."""
