"""The screen of the gateway: publications, products, upstreams, differences."""
