"""Requests that a caller may repeat without doing anything twice."""
