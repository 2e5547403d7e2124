"""Descriptions of APIs that others wrote: fetched, read and listed, for gateway and SDKs alike."""
