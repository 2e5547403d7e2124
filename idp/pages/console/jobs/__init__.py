"""The screen of jobs that make SDKs."""
