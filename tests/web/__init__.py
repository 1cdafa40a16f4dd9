"""Tests of the dashboard: its pure model, its pages against a fake daemon, and the whole in a real browser."""
