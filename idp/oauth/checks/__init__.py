"""Checks that turn raw parameters into validated values."""
