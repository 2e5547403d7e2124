"""Requests and answers: limits, headers, errors, who is calling."""
